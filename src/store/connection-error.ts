/** An error with a code, as sockets have it. */
export const connectionError = (message: string, code: string) => Object.assign(new Error(message), { code });
