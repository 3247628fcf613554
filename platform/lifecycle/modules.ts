/**
 * Modules: named parts of the program with declared needs, started in the order of those needs and stopped in
 * reverse. `system.ts` holds the one list. When a module fails to start, the modules that run already are stopped.
 */
import { createLifetime, type Lifetime, type OwnedLifetime } from './lifetime.ts';

/** One part of the program. `Parts` maps every module's name to what its start returns. */
export interface Module<Parts, Name extends keyof Parts, Need extends keyof Parts> {
  readonly name: Name;
  readonly needs: readonly Need[];
  /** The purpose of the module, shown by `trunkline serve --help`. */
  readonly purpose: string;
  start(needs: Pick<Parts, Need>, lifetime: Lifetime): Promise<Parts[Name]>;
}

// biome-ignore lint/suspicious/noExplicitAny: a list holds modules with different needs; each is checked where it is defined
export type AnyModule<Parts> = Module<Parts, any, any>;

/** A module did not start. The error names the module, and keeps the cause. */
export class ModuleStartError extends Error {
  override name = 'ModuleStartError';
  readonly module: string;
  constructor(module: string, cause: unknown) {
    super(`${module} did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.module = module;
  }
}

/**
 * The names of all modules that `wanted` needs, itself included, each after its needs.
 * @throws Error for a name that no module has, or for needs that form a circle
 */
export function startOrder<Parts>(modules: readonly AnyModule<Parts>[], wanted: readonly string[]): string[] {
  const order: string[] = [];
  const path: string[] = [];
  const visit = (name: string): void => {
    if (order.includes(name)) return;
    if (path.includes(name)) throw new Error(`modules need each other: ${[...path, name].join(' -> ')}`);
    const module = modules.find((m) => m.name === name);
    if (!module) {
      throw new Error(
        `no module is called "${name}"; there are: ${modules.map((m) => String(m.name)).join(', ')}`,
      );
    }
    path.push(name);
    for (const need of module.needs) visit(String(need));
    path.pop();
    order.push(name);
  };
  for (const name of wanted) visit(name);
  return order;
}

export interface Running<Parts> {
  readonly parts: Partial<Parts>;
  /** Stops every module, last started first. */
  stop(): Promise<void>;
}

/**
 * Starts `wanted` and all their needs.
 * @param report called for stop steps that fail
 * @param interrupted aborted: the running start gives up
 * @throws ModuleStartError after the started modules were stopped in reverse order
 */
export async function startModules<Parts>(
  modules: readonly AnyModule<Parts>[],
  wanted: readonly string[],
  report: (what: string, error: unknown) => void,
  interrupted: AbortSignal = new AbortController().signal,
): Promise<Running<Parts>> {
  const parts: Partial<Parts> = {};
  const started: OwnedLifetime[] = [];
  const stop = async () => {
    for (let lifetime = started.pop(); lifetime; lifetime = started.pop()) await lifetime.stop();
  };
  for (const name of startOrder(modules, wanted)) {
    const module = modules.find((m) => m.name === name)!;
    const lifetime = createLifetime((what, error) => report(`${name}: ${what}`, error));
    started.push(lifetime);
    interrupted.addEventListener('abort', lifetime.interrupt, { once: true });
    try {
      interrupted.throwIfAborted();
      parts[name as keyof Parts] = await module.start(parts as never, lifetime);
    } catch (cause) {
      await stop();
      throw new ModuleStartError(name, cause);
    } finally {
      interrupted.removeEventListener('abort', lifetime.interrupt);
    }
  }
  return { parts, stop };
}
