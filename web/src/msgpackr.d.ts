declare module 'msgpackr/index-no-eval' {
  const msgpackr: unknown;
  export = msgpackr;
}
