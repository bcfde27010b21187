/** The pages, in the order of the navigation. */
export const PAGES = ["overview", "money", "campaigns", "senders", "failures", "placements", "channels", "staying", "answers"] as const;
export type Page = (typeof PAGES)[number];
