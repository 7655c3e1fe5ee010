/** The read watermark of one room: it only moves forward, and many small moves go out as one. */
export interface ReadMark {
  readonly seq: () => number;
  /** What the server says it is. */
  readonly known: (seq: number) => void;
  readonly mark: (seq: number) => void;
}

const GATHER_MS = 300; // scrolling marks many messages

/** @param send moves the server's; where it rejects, the next mark tells it */
export function createReadMark(send: (seq: number) => Promise<unknown>): ReadMark {
  let told = 0;
  let wanted = 0;
  let busy = false;

  async function flush(): Promise<void> {
    try {
      while (wanted > told) {
        const seq = wanted;
        await send(seq);
        told = Math.max(told, seq);
      }
    } catch {
      wanted = told;
    } finally {
      busy = false;
    }
  }

  return {
    seq: () => Math.max(told, wanted),
    known(seq) {
      told = Math.max(told, seq);
    },
    mark(seq) {
      wanted = Math.max(wanted, seq);
      if (busy || wanted <= told) return;
      busy = true;
      setTimeout(() => void flush(), GATHER_MS);
    },
  };
}
