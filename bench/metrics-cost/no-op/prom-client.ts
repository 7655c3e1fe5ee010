/** prom-client's place in a server that measures nothing: the same calls, which do nothing. */
class Metric {
  inc(): void {}
  dec(): void {}
  set(): void {}
  observe(): void {}
  reset(): void {}
  startTimer(): () => number {
    return () => 0;
  }
}

export { Metric as Counter, Metric as Gauge, Metric as Histogram };

export class Registry {
  setDefaultLabels(): void {}
  registerMetric(): void {}
  async getMetricsAsJSON(): Promise<readonly never[]> {
    return [];
  }
  async metrics(): Promise<string> {
    return '';
  }
}

export const AggregatorRegistry = { aggregate: (): Registry => new Registry() };

export const prometheusContentType = 'text/plain';

export function collectDefaultMetrics(): void {}
