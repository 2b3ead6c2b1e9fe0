// JSON files in the mini-program's own folder. Its key-value storage is limited to 10 MB (1 MB a key), which a caseload
// with drafts exceeds; files may hold 200 MB. A file is written under a temporary name and renamed, so that an app
// killed in between leaves the old file intact.
import type { Wx } from './http.ts';

export interface Files {
  read<T>(name: string): T | null;
  write(name: string, value: unknown): void;
}

export function openFiles(wx: Wx): Files {
  const manager = wx.getFileSystemManager();
  const path = (name: string): string => `${wx.env.USER_DATA_PATH}/zoufang-${name}.json`;
  return {
    read<T>(name: string): T | null {
      try {
        return JSON.parse(manager.readFileSync(path(name), 'utf8') as string) as T;
      } catch {
        return null; // not there yet
      }
    },
    write(name, value) {
      manager.writeFileSync(`${path(name)}.new`, JSON.stringify(value), 'utf8');
      manager.renameSync(`${path(name)}.new`, path(name));
    },
  };
}
