/** The dependencies of this service's commands. */
import type { CommandTools } from '#platform/service/commands.ts';
import type { Room } from '../intake/room.ts';
import type { CallsSettings } from '../settings.ts';

export interface CallsCommandParts {
  readonly settings: CallsSettings;
  /** Of all services: an erasure goes through each of them. */
  readonly schemas: readonly string[];
  /** Free space on the disks of the primary behind an address. Undefined: no import waits for space. */
  roomAt(url: string): Room | undefined;
}

export type CallsTools = CommandTools<CallsCommandParts>;
