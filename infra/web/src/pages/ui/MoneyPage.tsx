import { type Scope, campaignIs, propertyIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { Empty } from "../../ui/Panel";
import { type Evidence, eventsOf } from "../evidence";
import { type Account, type Budgets, type Money, type Rate, type Spending, askBudgets, askMoney, usedOf } from "../money";
import { useAnswer } from "../resource";
import { Bar } from "./Bar";
import { Nothing, Value, moneyIn } from "./Cells";
import { EventsOf } from "./EventsOf";
import { Fact, Facts } from "./Fact";
import { Part } from "./Part";
import { Sheet } from "./Sheet";

export function MoneyPage({ scope }: { scope: Scope }) {
  const say = texts.value.pages;
  const key = JSON.stringify(scope);
  const money = useAnswer(key, (abort) => askMoney(scope, abort));
  const budgets = useAnswer(key, (abort) => askBudgets(scope, abort));
  return (
    <>
      <Part name="money" heading={say.money.heading} asked={money}>
        {(data) =>
          data.accounts.length === 0 ? (
            <Empty>{say.send(say.money.empty)}</Empty>
          ) : (
            data.accounts.map((account) => <OneCurrency key={account.currency} account={account} money={data} scope={scope} />)
          )
        }
      </Part>
      <Part name="budget" heading={say.budget.heading} goesBy={say.allTime} asked={budgets}>
        {(data) => <BudgetSheet data={data} />}
      </Part>
    </>
  );
}

const COSTS = ["cost_recorded"];
const VALUES = ["conversion_recorded"];
const EVENTS: Record<Rate, string[]> = {
  roi: [...VALUES, ...COSTS],
  margin_roi: [...VALUES, ...COSTS],
  cost_per_stayed: [...COSTS, "member_joined", "member_left"],
  cpm: [...COSTS, "post_stats_sampled"],
};

/** The parts of a metric's formula that are not of its whole event. */
const PARTS: Partial<Record<Rate, string>> = {
  cost_per_stayed: "campaignId exists",
  cpm: "placementId exists",
};

function OneCurrency({ account, money, scope }: { account: Account; money: Money; scope: Scope }) {
  const { pages: say, reasons } = texts.value;
  const { currency, sums, rates } = account;
  const campaign = scope.campaign && campaignIs(scope.campaign);
  const amount = moneyIn(currency);
  const events = (title: string, names: string[], ...conditions: string[]) => eventsOf(money, title, names, campaign, ...conditions);
  // Without a single margin, nothing is known of it: it is not that all of the cost is lost.
  const hasMargin = sums.margins.total !== 0;
  const sum = (name: "spend" | "revenue" | "margin", names: string[]) => {
    const isKnown = name !== "margin" || hasMargin;
    const cell = isKnown ? sums[name] : { total: null };
    return (
      <Fact id={`${name}-${currency}`} name={say.money[name]} value={cell.total} note={isKnown ? undefined : say.money.noMargin}>
        <Value cell={cell} write={amount} of={events(say.money[name], names, propertyIs("currency", currency))} />
      </Fact>
    );
  };
  const rate = (name: Rate, write: (value: number) => string) => {
    const isOfCurrency = currency === null ? "currency = null" : `(${propertyIs("currency", currency)} or currency = null)`;
    const isUnknown = name === "margin_roi" && !hasMargin;
    const cell = isUnknown ? { total: null } : rates[name];
    const note = isUnknown ? say.money.noMargin : cell.total === null && reasons[rates[name].reason ?? "no_values"];
    return (
      <Fact id={`${name}-${currency}`} name={say.money[name]} value={cell.total} note={note || undefined}>
        <Value cell={cell} write={write} of={events(say.money[name], EVENTS[name], PARTS[name] ?? "", isOfCurrency)} />
      </Fact>
    );
  };
  return (
    <section class="account-of" data-testid={`money-${currency}`}>
      <h3>{currency ?? say.noCurrency}</h3>
      <Facts>
        {sum("spend", COSTS)}
        {sum("revenue", VALUES)}
        {sum("margin", VALUES)}
        {rate("roi", formats.value.percent)}
        {rate("margin_roi", formats.value.percent)}
        {rate("cost_per_stayed", amount)}
        {rate("cpm", amount)}
      </Facts>
    </section>
  );
}

function BudgetSheet({ data }: { data: Budgets }) {
  const { pages, ...all } = texts.value;
  const say = pages.budget;
  const events = (of: Spending, title: string, name: string) =>
    eventsOf(data, `${of.campaign} · ${title}`, [name], campaignIs(of.campaign), name === "cost_recorded" ? propertyIs("currency", of.currency) : "");
  const write = (of: Spending, value: number | null, title: string, name: string) =>
    value === null ? <Nothing because={all.reasons.no_values} /> : (
      <EventsOf of={events(of, title, name)} value={value}>
        {formats.value.money(value, of.currency)}
      </EventsOf>
    );
  return (
    <Sheet
      name="budgets"
      rows={data.spendings}
      keyOf={({ campaign, currency }) => `${campaign} ${currency ?? ""}`.trim()}
      empty={pages.send(say.empty)}
      columns={[
        { id: "campaign", heading: say.campaign, isText: true, sortBy: ({ campaign }) => campaign, cell: ({ campaign }) => <bdi>{campaign}</bdi> },
        { id: "spent", heading: say.spent, sortBy: ({ spent }) => spent, cell: (row) => write(row, row.spent, say.spent, "cost_recorded") },
        {
          id: "budget",
          heading: say.budget,
          sortBy: ({ budget }) => budget,
          cell: (row) => (row.budget === null ? <span class="quiet">{say.none}</span> : write(row, row.budget, say.budget, "campaign_started")),
        },
        { id: "used", heading: say.used, sortBy: usedOf, cell: (row) => <Used percent={usedOf(row)} of={events(row, say.used, "cost_recorded")} /> },
      ]}
    />
  );
}

function Used({ percent, of }: { percent: number | null; of: Evidence }) {
  if (percent === null) return null;
  const isOver = percent > 100;
  return (
    <span class="used">
      <Bar percent={percent} isBad={isOver} />
      <EventsOf of={of} value={percent}>
        {formats.value.percent(percent)}
      </EventsOf>
      {isOver && <span class="badge badge--grave">{texts.value.pages.budget.over}</span>}
    </span>
  );
}
