import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAnsweredBySwitch, linkedIdOf, MAX_LINKED_ID } from './linkage.ts';

const A_LEG = 'c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01';
const OTHER = 'c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c02';

test("what joins a leg is the source's own field, or the variable in which its switch tells it", () => {
  const cases: [attributes: Record<string, string>, linkedId: string][] = [
    [{}, ''],
    [{ linkedid: '1772442294.101' }, '1772442294.101'],
    [{ 'Linked ID': 'pbx1-1772442294.101', channel: 'PJSIP/1001-1' }, 'pbx1-1772442294.101'],
    [{ originating_leg_uuid: A_LEG, originator: OTHER }, A_LEG],
    [{ originator: A_LEG }, A_LEG],
    [{ cc_member_session_uuid: A_LEG, originating_leg_uuid: OTHER }, A_LEG],
    // A carrier's column for the caller, and FreeSWITCH's variables that join nothing.
    [{ originator: '+493023125001' }, ''],
    [{ bridge_uuid: A_LEG, signal_bond: A_LEG, call_uuid: A_LEG }, ''],
    // Texts that stand for none, and what is no id.
    [{ linkedid: 'NULL', originating_leg_uuid: A_LEG }, A_LEG],
    [{ linkedid: 'x'.repeat(MAX_LINKED_ID + 1) }, ''],
  ];
  for (const [attributes, linkedId] of cases)
    assert.equal(linkedIdOf({ attributes }), linkedId, JSON.stringify(attributes));
  assert.equal(linkedIdOf({ linkedId: 'own', attributes: { linkedid: 'other' } }), 'own');
  assert.equal(linkedIdOf({ linkedId: '', attributes: { linkedid: 'other' } }), 'other');
});

test("an answer is the switch's own where nobody else was on the leg", () => {
  const answered = { result: 'answered', flags: [] } as const;
  const contradicted = { result: 'answered', flags: ['result_contradicted'] } as const;
  const cases: [Record<string, string>, bySwitch: boolean][] = [
    [{}, false],
    [{ channel: 'PJSIP/1001-1' }, false],
    [{ lastapp: 'Dial', dstchannel: 'PJSIP/1002-1' }, false],
    [{ lastapp: 'Dial' }, false],
    [{ lastapp: 'AppQueue' }, false],
    [{ lastapp: 'Queue' }, true],
    [{ lastapp: 'Queue', dstchannel: 'PJSIP/1002-1' }, false],
    [{ lastapp: 'BackGround' }, true],
    [{ lastapp: 'ConfBridge' }, false],
    [{ lastapp: 'VoiceMail', dstchannel: 'SIP/1002-1' }, true],
    [{ last_app: 'callcenter' }, true],
    [{ last_app: 'callcenter', bridge_uuid: OTHER }, false],
    [{ last_app: 'park', originating_leg_uuid: A_LEG }, false],
    [{ last_app: 'conference' }, false],
  ];
  for (const [attributes, bySwitch] of cases) {
    assert.equal(isAnsweredBySwitch(answered, attributes), bySwitch, JSON.stringify(attributes));
    assert.equal(isAnsweredBySwitch({ result: 'no_answer', flags: [] }, attributes), false);
  }
  // A ring behind Answer(): the word of the ring counts here.
  assert.equal(isAnsweredBySwitch(contradicted, { lastapp: 'Queue', dstchannel: 'PJSIP/1002-1' }), true);
  // A carrier's word against its seconds says nothing of parties.
  assert.equal(isAnsweredBySwitch(contradicted, { route: 'R1' }), false);
});
