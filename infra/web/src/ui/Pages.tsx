import { useEffect, useRef } from "preact/hooks";
import { addressOf, page } from "../board/scope";
import { PAGES } from "../pages/names";
import { texts } from "../texts/language";

/** Links to the pages. They are addresses, so that the way back is the browser's own. */
export function Pages() {
  const say = texts.value.pages;
  const list = useRef<HTMLUListElement>(null);
  const current = page.value;
  useEffect(() => {
    document.title = current === "overview" ? "Analytics" : `${say.names[current]} · Analytics`;
    // On a phone the row scrolls. Only sideways: the page stays where it is.
    const link = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (list.current && link) list.current.scrollLeft = link.offsetLeft - (list.current.clientWidth - link.offsetWidth) / 2;
  }, [current, say]);
  return (
    <nav class="pages" aria-label={say.label} data-testid="pages">
      <ul ref={list}>
        {PAGES.map((name) => (
          <li key={name}>
            <a href={whole(addressOf(name))} aria-current={name === current ? "page" : undefined} data-testid={`page-${name}`}>
              {say.names[name]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Whole addresses: links of a fragment alone are taken for links to a place on the page. */
function whole(fragment: string): string {
  return new URL(fragment, location.href).href;
}
