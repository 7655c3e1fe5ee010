import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** docs/asvs.md answers every requirement of levels 1 and 2, and what it names is there. */
const PAGE = readFileSync('docs/asvs.md', 'utf8');

/** Of ASVS 4.0.3, chapters 2 to 14: how many numbers a section has, and those of level 3 alone or withdrawn. */
const SECTIONS: Readonly<Record<string, readonly [last: number, without?: readonly number[]]>> = {
  ...{ '2.1': [12], '2.2': [3], '2.3': [3], '2.4': [5], '2.5': [7], '2.6': [3], '2.7': [6], '2.8': [7] },
  ...{ '2.9': [3], '2.10': [4], '3.1': [1], '3.2': [4], '3.3': [4], '3.4': [5], '3.5': [3], '3.7': [1] },
  ...{ '4.1': [5, [4]], '4.2': [2], '4.3': [3], '5.1': [5], '5.2': [8], '5.3': [10], '5.4': [3], '5.5': [4] },
  ...{ '6.1': [3], '6.2': [6], '6.3': [2], '6.4': [2], '7.1': [4], '7.2': [2], '7.3': [4, [2]], '7.4': [3] },
  ...{ '8.1': [4], '8.2': [3], '8.3': [8], '9.1': [3], '9.2': [4], '10.2': [2], '10.3': [3], '11.1': [8] },
  ...{ '12.1': [3], '12.2': [1], '12.3': [6], '12.4': [2], '12.5': [2], '12.6': [1], '13.1': [5, [2]] },
  ...{ '13.2': [6, [4]], '13.3': [2], '13.4': [2], '14.1': [4], '14.2': [6], '14.3': [3, [1]], '14.4': [7] },
  '14.5': [4],
};
const ALL = Object.entries(SECTIONS).flatMap(([section, [last, without = []]]) =>
  numbers(section, 1, last).filter((number) => !without.some((each) => number === `${section}.${each}`)),
);

const NOTHING = '–';
const rows = PAGE.split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [, number = '', asked = '', answer = '', where = '', shown = ''] = line.split(/ ?\| ?/);
    return { number, asked, answer, where, shown };
  });

function numbers(section: string, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${section}.${first + i}`);
}

/** `2.6.1–2.6.3` is three. */
function allOf(range: string): string[] {
  const [first = '', last = first] = range.split('–');
  const section = first.slice(0, first.lastIndexOf('.'));
  const end = (number: string) => Number(number.slice(number.lastIndexOf('.') + 1));
  return numbers(section, end(first), end(last));
}

/** As the first argument of a call, wherever the formatter has broken the line. */
function titleIn(source: string, title: string): boolean {
  const calls = source.replace(/\(\s+/g, '(');
  return ["'", '"', '`'].some((quote) => calls.includes(`(${quote}${title}${quote},`));
}

test('every requirement of level 2 has its row, in order', () => {
  expect(rows.flatMap(({ number }) => allOf(number))).toEqual(ALL);
});

test('every row answers: met, not met or n/a, with a reason where it isn’t met', () => {
  const unanswered = rows.filter(
    ({ answer }) => !/^(met( |:|;|$)|\*\*not met\*\*( |:|$)|n\/a: .)/.test(answer),
  );
  expect(unanswered).toEqual([]);
});

test.each(rows.filter(({ where }) => where !== NOTHING))('$number: the files are there', ({ where }) => {
  const files = where.split(', ').map((each) => each.replace(/^`(.+)`$/, '$1'));
  for (const file of files)
    expect([file, existsSync(file) || existsSync(join('src', file))]).toEqual([file, true]);
});

test.each(rows.filter(({ shown }) => shown !== NOTHING))('$number: the test is there', ({ shown }) => {
  const [, file, title] = /^`([\w/-]+)` "(.+)"$/.exec(shown) ?? [];
  const source = readFileSync(`test/${file}.test.ts`, 'utf8');
  expect([title, titleIn(source, String(title))]).toEqual([title, true]);
});
