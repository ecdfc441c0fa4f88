// The seed of a test: NETCELL_SEED, or one made of its name, so that a run is the same run again and two tests are
// not the same world.

const SEED_MAX = 0xffff_ffff;

export function seedOf(testName: string): number {
  const given = process.env.NETCELL_SEED;
  if (given !== undefined) {
    const seed = Number(given);
    if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX) {
      throw new RangeError(`NETCELL_SEED "${given}" is no number from 0 to ${SEED_MAX}`);
    }
    return seed;
  }
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (let i = 0; i < testName.length; i++) {
    hash = Math.imul(hash ^ testName.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
