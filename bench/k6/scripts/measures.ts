/** The custom metrics and the marks that they have to meet. Times in milliseconds. */
import { Counter, Trend } from 'k6/metrics';

export const measures = {
  /** From sending to `message_ack`, which comes after the commit. */
  ackLatency: new Trend('ack_latency', true),
  /** From sending to the event, at every member. */
  deliveryLatency: new Trend('delivery_latency', true),
  /** From opening a socket until `joined` or `resumed`. */
  connectTime: new Trend('connect_time', true),
  resumeTime: new Trend('resume_time', true),
  sent: new Counter('messages_sent'),
  acked: new Counter('messages_acked'),
  delivered: new Counter('messages_delivered'),
  /** By the room's numbers: never came, came twice, came after a later one. */
  lost: new Counter('messages_lost'),
  duplicated: new Counter('messages_duplicated'),
  outOfOrder: new Counter('messages_out_of_order'),
  errorFrames: new Counter('error_frames'),
  resumed: new Counter('sockets_resumed'),
  socketFailures: new Counter('socket_failures'),
};

/** Nothing lost, repeated or out of order; p99 delivery below 100 ms. */
export const SOCKET_MARKS: Record<string, string[]> = {
  ack_latency: ['p(99)<100'],
  delivery_latency: ['p(99)<100'],
  messages_lost: ['count==0'],
  messages_duplicated: ['count==0'],
  messages_out_of_order: ['count==0'],
  error_frames: ['count==0'],
  socket_failures: ['count==0'],
};

/** The API's marks, for requests with the tag `kind:measured`; those of the set-up don't count. */
export const REST_MARKS: Record<string, string[]> = {
  'http_req_duration{kind:measured}': ['p(50)<50', 'p(99)<200'],
  'http_req_failed{kind:measured}': ['rate==0'],
};

/** Which percentiles a summary has. */
export const TREND_STATS = ['avg', 'min', 'med', 'p(50)', 'p(90)', 'p(99)', 'p(99.9)', 'max', 'count'];
