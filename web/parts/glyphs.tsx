import type { JSX } from "preact";

const SHAPES = {
  dot: <circle cx="8" cy="8" r="5" fill="currentColor" />,
  ring: <circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" stroke-width="2" />,
  half: (
    <>
      <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" stroke-width="1.500" />
      <path d="M8 3a5 5 0 0 1 0 10z" fill="currentColor" />
    </>
  ),
  bars: <path d="M5 3v10M11 3v10" stroke="currentColor" stroke-width="3" stroke-linecap="round" />,
  cross: <path d="M4 4l8 8M12 4l-8 8" stroke="currentColor" stroke-width="2.500" stroke-linecap="round" />,
  flake: (
    <path
      d="M8 2v12M2.800 5l10.400 6M13.200 5L2.800 11"
      stroke="currentColor"
      stroke-width="1.600"
      stroke-linecap="round"
    />
  ),
  square: <rect x="4" y="4" width="8" height="8" rx="1" fill="currentColor" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="3.200" fill="currentColor" />
      <path
        d="M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.500 1.500M11.500 11.500L13 13M13 3l-1.500 1.500M4.500 11.500L3 13"
        stroke="currentColor"
        stroke-width="1.500"
        stroke-linecap="round"
      />
    </>
  ),
  moon: <path d="M12.500 10A5.500 5.500 0 0 1 6 3.500 5.500 5.500 0 1 0 12.500 10z" fill="currentColor" />,
  auto: (
    <>
      <circle cx="8" cy="8" r="5.500" fill="none" stroke="currentColor" stroke-width="1.500" />
      <path d="M8 2.500a5.500 5.500 0 0 1 0 11z" fill="currentColor" />
    </>
  ),
} as const;

export type GlyphName = keyof typeof SHAPES;

/** A sign beside a word, never instead of one. */
export function Glyph({ name }: { readonly name: GlyphName }): JSX.Element {
  return (
    <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true" fill="none">
      {SHAPES[name]}
    </svg>
  );
}

export function Flame(): JSX.Element {
  return (
    <svg class="flame" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M17 2c1 5-7 8-7 16a7.500 7.500 0 0 0 2.600 5.600C12 20 15 18.500 15.500 15c3 2.500 4.500 5.500 3.500 8.800A7.600 7.600 0 0 0 24 17c0-6-5.500-9-7-15z" />
      <path d="M5 27h22v3H5z" />
    </svg>
  );
}
