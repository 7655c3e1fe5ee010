import { CLOSE_CODES } from '../protocol/errors.js';
import { CLIENT_FRAMES, type ClientFrameType } from '../protocol/frames.js';
import { UUID_PATTERN } from '../protocol/ids.js';
import { CLIENT_FRAME_NOTES, SERVER_FRAMES, type ServerFrameSpec } from '../protocol/server-frames.js';
import { components, type JsonSchema, referring } from './schemas.js';

const CHANNEL = '#/channels/socket';
const ref = { type: ['string', 'integer'], maxLength: 64, description: 'Repeated in the answer.' };
const roomId = { type: 'string', pattern: UUID_PATTERN };

/** The AsyncAPI 3 document of the WebSocket, from the tables that the server itself works with. */
export function asyncApi(version: string): JsonSchema {
  const clientTypes = Object.keys(CLIENT_FRAMES) as ClientFrameType[];
  const serverTypes = Object.entries(SERVER_FRAMES) as [string, ServerFrameSpec][];
  const messages = Object.fromEntries([
    ...clientTypes.map((type) => [`client.${type}`, clientMessage(type)]),
    ...serverTypes.map(([type, spec]) => [`server.${type}`, serverMessage(type, spec)]),
  ]);
  const inChannel = (name: string) => ({ $ref: `${CHANNEL}/messages/${name}` });
  const asked = clientTypes.map((type) => [type, clientOperation(type, inChannel)]);
  const told = serverTypes
    .filter(([, { kind }]) => kind !== 'answer')
    .map(([type, { summary }]) => [
      `on_${type}`,
      { action: 'send', summary, channel: { $ref: CHANNEL }, messages: [inChannel(`server.${type}`)] },
    ]);
  const closes = Object.entries(CLOSE_CODES).map(([reason, code]) => `${code} ${reason}`);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Parley WebSocket',
      version,
      description: `One WebSocket; subprotocol \`parley.json\` (text frames) or \`parley.msgpack\` (binary frames, the same members). Close codes: ${closes.join(', ')}.`,
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      socket: {
        address: '/api/v1/ws',
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
      },
    },
    operations: Object.fromEntries([...asked, ...told]),
    components: { messages, schemas: components() },
  };
}

function clientMessage(type: ClientFrameType): JsonSchema {
  const { payload, room } = CLIENT_FRAMES[type];
  const { summary, errors } = CLIENT_FRAME_NOTES[type];
  const common = ['bad_request', 'rate_limited', 'overloaded', 'unavailable', 'internal'];
  return {
    name: type,
    summary,
    description: `Errors: ${[...errors, ...common].map((code) => `\`${code}\``).join(', ')}.`,
    payload: {
      type: 'object',
      required: [
        'type',
        ...(room === 'required' ? ['room_id'] : []),
        ...(hasRequired(payload) ? ['payload'] : []),
      ],
      properties: {
        type: { const: type },
        ...(room === 'none' ? {} : { room_id: roomId }),
        ref,
        payload: referring(payload),
      },
    },
  };
}

function hasRequired(schema: object): boolean {
  return ((schema as { required?: string[] }).required ?? []).length > 0;
}

function serverMessage(type: string, { summary, payload, kind }: ServerFrameSpec): JsonSchema {
  return {
    name: type,
    summary,
    payload: {
      type: 'object',
      required: ['type', 'payload', 'timestamp', ...(kind === 'log' ? ['room_id', 'rev'] : [])],
      properties: {
        type: { const: type },
        room_id: roomId,
        ...(kind === 'log' ? { rev: { type: 'integer', minimum: 1 } } : {}),
        ...(kind === 'answer' ? { ref } : {}),
        payload: referring(payload),
        timestamp: { type: 'integer', description: 'Epoch milliseconds.' },
      },
    },
  };
}

function clientOperation(type: ClientFrameType, inChannel: (name: string) => JsonSchema): JsonSchema {
  const { summary, answer } = CLIENT_FRAME_NOTES[type];
  const answers = answer === null ? ['error'] : [answer, 'error'];
  return {
    action: 'receive',
    summary,
    channel: { $ref: CHANNEL },
    messages: [inChannel(`client.${type}`)],
    reply: { channel: { $ref: CHANNEL }, messages: answers.map((name) => inChannel(`server.${name}`)) },
  };
}
