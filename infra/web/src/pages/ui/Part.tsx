import type { ComponentChildren } from "preact";
import { formats, texts } from "../../texts/language";
import { Panel } from "../../ui/Panel";
import type { Asked } from "../resource";

interface Properties<Data> {
  name: string;
  heading: string;
  /** What the numbers go by, if not by the period and campaign that are chosen. */
  goesBy?: string | undefined;
  asked: Asked<Data>;
  children(data: Data): ComponentChildren;
}

/** A panel of a page: it shows what was asked for, and when. */
export function Part<Data>({ name, heading, goesBy, asked, children }: Properties<Data>) {
  const { data, isFresh, error, at } = asked;
  const aside = (
    <>
      {goesBy && <span class="panel__aside">{goesBy}</span>}
      {at && (
        <time class="panel__aside part__at" dateTime={at.toISOString()}>
          {texts.value.state.asOf} {formats.value.clock(at)}
        </time>
      )}
    </>
  );
  const refused = error && !data ? { type: "error" as const, ...error } : null;
  return (
    <Panel name={name} heading={heading} aside={aside} isLoading={!data} isFresh={isFresh} error={refused}>
      {data && error && (
        <p class="panel__note part__stale" role="status" title={error.code}>
          {texts.value.pages.stale(error.detail)}
        </p>
      )}
      {data && children(data)}
    </Panel>
  );
}
