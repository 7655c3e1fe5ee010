import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProfiles } from '../../src/auth/profiles.js';
import { newId, type UserId } from '../../src/protocol/ids.js';
import { profileStore } from '../../src/store/profiles.js';
import { type AccountFixture, accountFixture, refusalOf } from '../helpers/account-fixture.js';

let fixture: AccountFixture;
const heard: string[] = [];
const profiles = () =>
  createProfiles({
    store: profileStore(fixture.db),
    news: {
      userChanged: (user_id) => heard.push(`changed ${user_id}`),
      renamed: (user_id, username) => heard.push(`${username} ${user_id}`),
      statusChosen: (user_id, status) => heard.push(`${status} ${user_id}`),
    },
    statusOf: () => 'offline',
  });

beforeAll(async () => {
  fixture = await accountFixture();
});
afterAll(() => fixture.close());

describe('a change of a profile', () => {
  it('tells of new names and chosen statuses, and of nothing that was refused', async () => {
    const [one, other] = [await fixture.somebody(), await fixture.somebody()];
    const { user_id } = one.caller;
    await profiles().patch(one.caller, { avatar_url: 'https://x.io/a' });
    expect(heard.splice(0)).toEqual([]);
    await profiles().patch(one.caller, { username: 'New_name', status: 'away' });
    expect(heard.splice(0)).toEqual([`changed ${user_id}`, `New_name ${user_id}`, `away ${user_id}`]);
    expect(await refusalOf(profiles().patch(one.caller, { username: other.username }))).toBe(
      'conflict username',
    );
    const nobody = { ...one.caller, user_id: newId<UserId>() };
    expect(await refusalOf(profiles().patch(nobody, { status: 'away' }))).toBe('unauthenticated');
    expect(heard).toEqual([]);
  });
});
