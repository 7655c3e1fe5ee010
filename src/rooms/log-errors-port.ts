/** What a `MessageLog` throws (see ports.ts): the domain tells them apart, whatever implements the log. */

/** An id of the batch exists already; nothing was inserted, no number was used. */
export class DuplicateIds extends Error {
  constructor(cause?: unknown) {
    super('a message id exists already', { cause });
    this.name = 'DuplicateIds';
  }
}

/** A value of the batch can't be stored, now or later (U+0000, say); nothing was changed. */
export class BadRow extends Error {
  constructor(cause?: unknown) {
    super('a value cannot be stored', { cause });
    this.name = 'BadRow';
  }
}

/** The log is away, or the outcome unknown: try again with the same ids. */
export class LogUnavailable extends Error {
  constructor(cause?: unknown) {
    super('the message log is unavailable', { cause });
    this.name = 'LogUnavailable';
  }
}
