import { type Db, run, type Tx } from './client.js';

const OPERATOR = 'operator'; // whoever has the database's credentials: the command line knows no names

/** What an operator did, or is doing. */
export interface OperatorAction {
  readonly command: string;
  /** An id or a network; null where it is about everything. */
  readonly target: string | null;
  readonly details?: Readonly<Record<string, string | number | null>>;
}

export interface OperatorEntry {
  readonly operator: string;
  readonly command: string;
  readonly target: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly created_at: Date;
}

/** Writes an entry; belongs into the transaction of a change. @throws StoreUnavailable */
export async function noteOperator(db: Db | Tx, action: OperatorAction): Promise<void> {
  await run(db`
    insert into operator_log (operator, command, target, details)
    values (${OPERATOR}, ${action.command}, ${action.target}, ${JSON.stringify(action.details ?? {})}::text::jsonb)`);
}

/** The newest entries, at most `limit`, the newest first. @throws StoreUnavailable */
export async function operatorEntries(db: Db, limit: number): Promise<OperatorEntry[]> {
  return [
    ...(await run(db<OperatorEntry[]>`
      select operator, command, target, details, created_at from operator_log order by id desc limit ${limit}`)),
  ];
}
