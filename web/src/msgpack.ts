/** Loaded when somebody chooses it. Of msgpackr, the form without `eval`: the page's policy forbids that. */
import msgpackr from 'msgpackr/index-no-eval';
import { type Codec, type Msgpackr, msgpack } from '../../client/src/index.js';

export const codec: Codec = msgpack(msgpackr as Msgpackr);
