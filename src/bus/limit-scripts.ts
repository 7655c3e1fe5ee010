import { createHash } from 'node:crypto';

/**
 * A limit as a script, atomic. It does what src/lib/rate-limits.ts does a minute, with Redis' clock: 0 where the take is allowed (it is counted then), otherwise the milliseconds after which one will be.
 * ARGV[1] is the time in milliseconds where a test gives one, else empty. Keys expire when they say no more than
 * an absent one would.
 */
export interface LimitScript {
  readonly lua: string;
  readonly sha: string;
}

const NOW = `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

/** A hash of takes by slice of 5 s; of those of the last minute and the running slice, ARGV[2] are allowed. */
export const SLIDING_WINDOW = script(`${NOW}
local slice_ms, slices = 5000, 13
local slice = math.floor(now / slice_ms)
local counts = redis.call('HGETALL', KEYS[1])
local total, oldest = 0, slice
for i = 1, #counts, 2 do
  local at = tonumber(counts[i])
  if at <= slice - slices then
    redis.call('HDEL', KEYS[1], counts[i])
  else
    total = total + tonumber(counts[i + 1])
    oldest = math.min(oldest, at)
  end
end
if total >= tonumber(ARGV[2]) then
  return math.max(1, math.ceil((oldest + slices) * slice_ms - now))
end
redis.call('HINCRBY', KEYS[1], slice, 1)
redis.call('PEXPIRE', KEYS[1], slices * slice_ms)
return 0
`);

function script(lua: string): LimitScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}
