/** The methods of each address, for answers to requests with another method. */

export interface AllowedMethods {
  /** For the hook `onRoute`. */
  add(url: string, methods: string | readonly string[]): void;
  /** The methods of the routes of an address, in order. */
  of(path: string): string[];
}

export function createAllowedMethods(): AllowedMethods {
  const routes = new Map<string, { readonly matches: RegExp; readonly methods: Set<string> }>();
  return {
    add(url, methods) {
      const route = routes.get(url) ?? { matches: patternOf(url), methods: new Set<string>() };
      routes.set(url, route);
      for (const method of [methods].flat()) route.methods.add(method);
    },
    of: (path) => {
      const found = [...routes.values()].filter(({ matches }) => matches.test(path));
      return [...new Set(found.flatMap(({ methods }) => [...methods]))].sort();
    },
  };
}

/** A route's address as a pattern: :name matches one part, * the rest. A slash at the end does not count. */
function patternOf(url: string): RegExp {
  const parts = url.replace(/\/$/, '').split('/');
  const pattern = parts.map((part) =>
    part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replace(/[^\w-]/g, '\\$&'),
  );
  return new RegExp(`^${pattern.join('/')}/?$`);
}
