const ANSWER_WITHIN_MS = 1_000; // who is starting or stuck is left out of a scrape

/** Asks several threads or processes for their figures, and gathers those that answer in time. */
export interface Scrapes<Figures> {
  ask<Asked>(whom: readonly Asked[], tell: (one: Asked, id: number) => void): Promise<Figures[]>;
  answered(id: number, figures: Figures): void;
}

export function createScrapes<Figures>(): Scrapes<Figures> {
  const waiting = new Map<number, (figures: Figures | null) => void>();
  let lastId = 0;

  function askOne(tell: (id: number) => void): Promise<Figures | null> {
    const id = ++lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiting.get(id)?.(null), ANSWER_WITHIN_MS);
      waiting.set(id, (figures) => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(figures);
      });
      tell(id);
    });
  }

  return {
    async ask(whom, tell) {
      const answers = await Promise.all(whom.map((one) => askOne((id) => tell(one, id))));
      return answers.filter((answer) => answer !== null);
    },
    answered: (id, figures) => waiting.get(id)?.(figures),
  };
}
