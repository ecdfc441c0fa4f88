// The bytes of a regular file of a served tree: the descriptors that the Gofer has donated, one for reading and
// one for both, kept while somebody uses them and then in the file system's bounded list of idle ones.

import { EIO, ESTALE } from "../../../abi/errno.ts";
import { ACCESS_READ, ACCESS_READ_WRITE } from "../../../gofer/index.ts";
import { isSameFile, setAttrSize } from "./attributes.ts";
import type { GoferNode } from "./gofer-node.ts";

export class DonatedFile {
  readonly #node: GoferNode;
  #readFd = -1;
  #writeFd = -1;
  #uses = 0;

  constructor(node: GoferNode) {
    this.#node = node;
  }

  get isHeld(): boolean {
    return this.#uses > 0 || this.#readFd >= 0;
  }

  /** One more user of the descriptor for reading (or for both). 0 or -errno; pair with unuse(). */
  acquire(write: boolean): number {
    if (write ? this.#writeFd < 0 : this.#readFd < 0 && this.#writeFd < 0) {
      const r = this.#openDescriptor(write);
      if (r < 0) return r;
    }
    if (this.#uses++ === 0) this.#node.fs.setIdle(this, false);
    return 0;
  }
  unuse(): void {
    if (--this.#uses === 0) this.#node.fs.setIdle(this, true);
  }

  #openDescriptor(write: boolean): number {
    const node = this.#node;
    const client = node.fs.client;
    const access = write ? ACCESS_READ_WRITE : ACCESS_READ;
    const open = (): number =>
      node.parent === null
        ? node.request((handle) => client.open(handle, "", access))
        : node.parent.request((handle) => client.open(handle, node.name, access));
    let fd = open();
    if (fd < 0 && node.fs.makeRoom(fd)) fd = open();
    if (fd < 0) return fd;
    if (!isSameFile(client.replyBytes, client.attrOffset, node.attrs, node.attrOffset)) {
      // Something else stands at the name now.
      node.fs.files.close(fd);
      return node.fs.isShared ? -ESTALE : -EIO;
    }
    node.updateFromReply();
    if (write) this.#writeFd = fd;
    else this.#readFd = fd;
    return 0;
  }
  /** A descriptor that came with the file's creation. */
  adopt(fd: number): void {
    this.#writeFd = fd;
    this.#node.fs.setIdle(this, true);
  }

  /** Any descriptor to read with; -1 only when nobody has acquired one. */
  get fd(): number {
    return this.#writeFd >= 0 ? this.#writeFd : this.#readFd;
  }
  get writeFd(): number {
    return this.#writeFd;
  }
  close(): void {
    if (this.#readFd >= 0) this.#node.fs.files.close(this.#readFd);
    if (this.#writeFd >= 0) this.#node.fs.files.close(this.#writeFd);
    this.#readFd = -1;
    this.#writeFd = -1;
  }
  /** The file has no name any more: nobody will come back for what is idle. */
  dropIdle(): void {
    if (this.#uses > 0) return;
    this.#node.fs.setIdle(this, false);
    this.close();
  }
  /** Bytes in the file now: asked of the descriptor where others may change it. */
  currentSize(): number {
    const node = this.#node;
    if ((!node.fs.isShared && !node.fs.isWritable) || this.fd < 0) return node.size;
    const size = node.fs.files.size(this.fd);
    if (size >= 0 && size !== node.size) setAttrSize(node.attrs, node.attrOffset, size);
    return size;
  }
}
