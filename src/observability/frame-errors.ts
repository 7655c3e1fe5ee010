import type { Registry } from 'prom-client';
import { ERRORS, type ErrorCode } from '../protocol/errors.js';
import { leanCounter } from './lean-counter.js';

/** Counts frames answered with an error, in whichever thread makes the answer: under one name, by code. */
export function frameErrors(registers: Registry[]): (code: ErrorCode) => void {
  return leanCounter(registers, {
    name: 'parley_websocket_errors_total',
    help: 'Frames answered with an error, by its code.',
    label: 'code',
    values: Object.keys(ERRORS) as ErrorCode[],
  });
}
