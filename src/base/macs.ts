// Keyed message authentication codes under the names of Linux's crypto API ("hmac(sha1)", "cmac(aes)"). They come in by
// constructor: who has a library of them implements this. None is written here.

export interface MacAlgorithm {
  readonly name: string;
  readonly macBytes: number;
  takesKeyOf(bytes: number): boolean;
  /** Of message[0, length), into out[0, macBytes). The bytes of a key never change: what is made of it may be kept. */
  mac(key: Uint8Array, message: Uint8Array, length: number, out: Uint8Array): void;
}

export interface Macs {
  find(name: string): MacAlgorithm | null;
}
