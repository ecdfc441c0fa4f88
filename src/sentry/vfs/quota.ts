// What an in-memory file system may use: bytes of file data and inodes, within what its parent may use
// (one file system within the sandbox's Limits). Taking fails as a whole or succeeds as a whole.

export class Quota {
  bytesMax: number;
  inodesMax: number;
  readonly parent: Quota | null;
  bytes = 0;
  inodes = 0;

  constructor(bytesMax: number, inodesMax: number, parent: Quota | null) {
    this.bytesMax = bytesMax;
    this.inodesMax = inodesMax;
    this.parent = parent;
  }

  takeBytes(n: number): boolean {
    if (this.bytes + n > this.bytesMax) return false;
    if (this.parent !== null && !this.parent.takeBytes(n)) return false;
    this.bytes += n;
    return true;
  }
  giveBytes(n: number): void {
    this.bytes -= n;
    this.parent?.giveBytes(n);
  }
  takeInode(): boolean {
    if (this.inodes >= this.inodesMax) return false;
    if (this.parent !== null && !this.parent.takeInode()) return false;
    this.inodes++;
    return true;
  }
  giveInode(): void {
    this.inodes--;
    this.parent?.giveInode();
  }
}
