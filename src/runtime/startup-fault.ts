// Faults that keep a process from starting, written for the operator: what is wrong and how to fix it.

/** A fault with its remedy. The message is one line and contains no secret. */
export class StartupFault extends Error {
  override readonly name = 'StartupFault';
}

/** Descriptions of system errors by their code. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'a file of this name exists',
  EISDIR: 'a folder of this name exists',
  ENOENT: 'it does not exist and cannot be created',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
};

/** Describes a system error; its message when the code is not known. */
function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return (code !== null && REASONS[code]) || (error instanceof Error ? error.message : String(error));
}

/** Runs `step` and turns a system error into a StartupFault. @param what begins the message. @throws StartupFault */
export async function asStartupFault<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (codeOf(error) === null) throw error;
    throw new StartupFault(`${what} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * The fault of a server that could not listen on `host` and `port`.
 * @param prefix of the two variables that set them
 */
export function listenError(error: unknown, host: string, port: number, prefix = ''): StartupFault {
  const at = `${host}:${port}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new StartupFault(
        `another process listens on ${at}: stop it, or set ${prefix}PORT to another port`,
      );
    case 'EACCES':
      return new StartupFault(`no permission to listen on ${at}: set ${prefix}PORT to 1024 or above`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartupFault(
        `${prefix}HOST ${host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all addresses`,
      );
    default:
      return new StartupFault(`cannot listen on ${at}: ${reasonOf(error)}`);
  }
}

/** The code of a system error; null for any other. */
function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
