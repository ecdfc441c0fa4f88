// How a stream of bytes comes in pieces, and in what order: what segmentation, reassembly and every protocol over
// TCP must not depend on.

import fc from "fast-check";

/** Lengths of pieces that make up `length` bytes; shrinks to one piece. */
export function segmentation(length: number, piecesMax = 16): fc.Arbitrary<number[]> {
  if (length <= 1) return fc.constant(length === 0 ? [] : [length]);
  return fc
    .array(fc.integer({ min: 1, max: length - 1 }), { maxLength: piecesMax - 1 })
    .map((at) => {
      const cuts = [...new Set(at)].sort((a, b) => a - b);
      return [...cuts, length].map((end, i) => end - (i === 0 ? 0 : cuts[i - 1]));
    });
}

export interface StreamPiece {
  offset: number;
  bytes: Uint8Array;
}

/** The bytes in order, cut anywhere. */
export function segments(bytes: Uint8Array, piecesMax = 16): fc.Arbitrary<StreamPiece[]> {
  return segmentation(bytes.length, piecesMax).map((lengths) => {
    let offset = 0;
    return lengths.map((length) => {
      const piece = { offset, bytes: bytes.subarray(offset, offset + length) };
      offset += length;
      return piece;
    });
  });
}

/** As a bad network brings them: cut, out of order, some twice, some overlapping their neighbours. */
export function disorderedSegments(bytes: Uint8Array, piecesMax = 12): fc.Arbitrary<StreamPiece[]> {
  return segments(bytes, piecesMax).chain((inOrder) => {
    const extra = fc
      .array(fc.tuple(fc.nat(Math.max(0, bytes.length - 1)), fc.nat(200)), { maxLength: 4 })
      .map((list) =>
        list.map(([offset, length]) => ({
          offset,
          bytes: bytes.subarray(offset, Math.min(bytes.length, offset + length + 1)),
        })),
      );
    return fc.tuple(extra, moves).map(([more, swaps]) =>
      moved(
        [...inOrder, ...more].filter((piece) => piece.bytes.length > 0),
        swaps,
      ),
    );
  });
}

type Move = readonly [from: number, to: number];

/** Another order, as moves of single pieces: a failure shrinks to the order as sent. */
export const moves: fc.Arbitrary<Move[]> = fc.array(fc.tuple(fc.nat(31), fc.nat(31)), {
  maxLength: 6,
});

export function moved<T>(list: readonly T[], order: readonly Move[]): T[] {
  const all = [...list];
  for (const [from, to] of order) {
    if (from >= all.length || to >= all.length) continue;
    const [piece] = all.splice(from, 1);
    all.splice(to, 0, piece);
  }
  return all;
}
