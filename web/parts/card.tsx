import type { ComponentChildren, JSX } from "preact";

export interface CardProps {
  readonly title: string;
  /** One sentence: what is shown here. */
  readonly about: string;
  /** A figure or two beside the title. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Card({ title, about, aside, children }: CardProps): JSX.Element {
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2 title={about}>{title}</h2>
        {aside !== undefined && <span class="aside">{aside}</span>}
      </header>
      {children}
    </section>
  );
}

/** What a card says while there is nothing to show. */
export function Empty({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}

/** A list that may grow long stays in its place and scrolls; by keyboard too. */
export function Scroll({
  label,
  children,
}: {
  readonly label: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}

/** The names of a table's columns; those of figures stand on the right, as the figures do. */
export function TableHead({
  names,
  figures,
}: {
  readonly names: readonly string[];
  readonly figures: ReadonlySet<string>;
}): JSX.Element {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col" class={figures.has(name) ? "num" : ""}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
