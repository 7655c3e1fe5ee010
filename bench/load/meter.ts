import { createLatencyRecorder } from './latency.js';
import { createTimeline, type TimelineData } from './timeline.js';

/** The measured window, microseconds of clock.ts. */
export interface Window {
  readonly fromMicros: number;
  readonly toMicros: number;
}

/** Measures one loader's traffic. Messages due in the window give the latencies; what happens in it gives the rates. */
export interface Meter {
  readonly inWindow: { sent: number; acked: number; delivered: number };
  sent(dueMicros: number, nowMicros: number): void;
  acked(dueMicros: number, nowMicros: number): void;
  delivered(dueMicros: number, nowMicros: number): void;
  /** A delivery that a lost connection or a reader's own pause held up. */
  late(dueMicros: number, nowMicros: number): void;
  /** A socket came back, whenever that was. */
  resumed(micros: number): void;
  encoded(): {
    ackLatency: string;
    deliveryLatency: string;
    sendLag: string;
    lateLatency: string;
    resumeTime: string;
    timeline: TimelineData;
  };
}

/** @param window outside of it nothing is recorded. */
export function createMeter(window: Window): Meter {
  const inWindow = { sent: 0, acked: 0, delivered: 0 };
  const ackLatency = createLatencyRecorder();
  const deliveryLatency = createLatencyRecorder();
  const sendLag = createLatencyRecorder();
  const lateLatency = createLatencyRecorder();
  const resumeTime = createLatencyRecorder();
  const timeline = createTimeline(window.fromMicros, window.toMicros);
  const inside = (micros: number) => micros >= window.fromMicros && micros < window.toMicros;
  return {
    inWindow,
    sent(due, now) {
      if (inside(now)) inWindow.sent += 1;
      if (inside(due)) sendLag.record(now - due);
      timeline.sent(now);
    },
    acked(due, now) {
      if (inside(now)) inWindow.acked += 1;
      if (inside(due)) ackLatency.record(now - due);
      timeline.acked(now);
    },
    delivered(due, now) {
      if (inside(now)) inWindow.delivered += 1;
      if (inside(due)) deliveryLatency.record(now - due);
      timeline.delivered(now - due, now);
    },
    late(due, now) {
      if (inside(now)) inWindow.delivered += 1;
      if (inside(due)) lateLatency.record(now - due);
    },
    resumed: (micros) => resumeTime.record(micros),
    encoded: () => ({
      ackLatency: ackLatency.encoded(),
      deliveryLatency: deliveryLatency.encoded(),
      sendLag: sendLag.encoded(),
      lateLatency: lateLatency.encoded(),
      resumeTime: resumeTime.encoded(),
      timeline: timeline.data,
    }),
  };
}
