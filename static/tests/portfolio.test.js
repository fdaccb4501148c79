import {
    contains,
    getService,
    makeServerError,
    mockService,
    mountWithCleanup,
    onRpc,
    preloadBundle,
} from "@web/../tests/web_test_helpers";
import {animationFrame, mockDate} from "@odoo/hoot-mock";
import {beforeEach, describe, expect, test} from "@odoo/hoot";
import {queryAllTexts, queryOne} from "@odoo/hoot-dom";
import {Portfolio} from "@crm_key_account/portfolio/portfolio";
import {WebClient} from "@web/webclient/webclient";
import {actionService} from "@web/webclient/actions/action_service";
import {defineMailModels} from "@mail/../tests/mail_test_helpers";
import {registry} from "@web/core/registry";

describe.current.tags("crm_key_account");
defineMailModels();
preloadBundle("web.chartjs_lib");

// What the server answers; a test may change it
let data = {};
let risk = {};

function makeTier(id, name, share) {
    return {
        id,
        name,
        code: name[0],
        color: id,
        count: 2,
        revenue: 10 * share,
        margin: 5 * share,
        visits: 3,
        hours: 1.5,
        positive: 10 * share,
        shares: {count: 50, revenue: share, margin: share, visits: 50, hours: null},
        domain: [["tier_id", "=", id]],
    };
}

beforeEach(() => {
    mockDate("2026-06-16 12:00:00");
    data = {
        state: "ok",
        company: {id: 1, name: "Ours"},
        companies: [{id: 1, name: "Ours"}],
        teams: [
            {id: 1, name: "Europe"},
            {id: 2, name: "America"},
        ],
        users: [{id: 7, name: "Kate"}],
        see_all: true,
        can_configure: true,
        has_risk: true,
        policy_id: 4,
        currency_id: false,
        context: {},
        period: {first: "2025-06-17", last: "2026-06-16", is_window: true, months: 12},
        total: {
            count: 4,
            revenue: 1000,
            margin: 500,
            visits: 6,
            hours: 3,
            positive: 1000,
            domain: [["is_account", "=", true]],
        },
        tiers: [makeTier(1, "Key account", 80), makeTier(2, "Ordinary", 20)],
        curve: {
            few_share: 80,
            few: {
                count: 2,
                revenue: 800,
                count_share: 50,
                revenue_share: 80,
                domain: [["period_revenue", ">=", 300]],
            },
            points: [
                {
                    count: 1,
                    revenue: 500,
                    count_share: 25,
                    revenue_share: 50,
                    domain: [["period_revenue", ">=", 500]],
                },
                {
                    count: 2,
                    revenue: 800,
                    count_share: 50,
                    revenue_share: 80,
                    domain: [["period_revenue", ">=", 300]],
                },
            ],
        },
        effort: {
            levels: [
                ["transactional", "Transactional"],
                ["partner", "Partner"],
            ],
            count: 3,
            average_revenue: 250,
            average_visits: 1.5,
            points: [
                {
                    id: 21,
                    name: "Kestrel",
                    level: "partner",
                    revenue: 500,
                    visits: 1,
                    fit: "too_little",
                    domain: [["id", "=", 21]],
                },
            ],
            groups: {
                too_little: {
                    count: 1,
                    revenue: 500,
                    visits: 1,
                    domain: [["fit", "=", "too_little"]],
                },
                too_much: {count: 0, revenue: 0, visits: 0, domain: []},
            },
        },
        load: {
            is_planned: true,
            rows: [
                {
                    id: 7,
                    name: "Kate",
                    count: 3,
                    lead_count: 1,
                    load: 36,
                    capacity: 30,
                    percent: 120,
                    is_over: true,
                    domain: [["due", "=", 7]],
                },
                {
                    id: false,
                    name: "No salesperson",
                    count: 1,
                    lead_count: 0,
                    load: 1,
                    capacity: null,
                    percent: null,
                    is_over: false,
                    domain: [["due", "=", false]],
                },
            ],
        },
        moves: {
            up: 1,
            down: 0,
            changes_domain: [["state", "=", "applied"]],
            rows: [
                {
                    from: "Ordinary",
                    to: "Key account",
                    direction: "up",
                    count: 1,
                    domain: [["moved", "=", true]],
                },
            ],
        },
    };
    risk = {
        limit: 10,
        figures: [
            {
                key: "top_5",
                kind: "concentration",
                label: "Five largest groups",
                value: 62.5,
                unit: "percent",
                is_warning: true,
                formula: "Revenue of the 5 largest / of all",
                domain: [["group_id", "in", [1]]],
            },
            {
                key: "shrinking",
                kind: "risk",
                label: "Shrinking",
                value: 2,
                unit: "accounts",
                revenue: 70,
                is_warning: false,
                formula: "Growth of -25 % or less",
                domain: [["is_shrinking", "=", true]],
            },
        ],
        groups: [
            {
                id: 1,
                label: "Holding",
                accounts: 2,
                revenue: 625,
                share: 62.5,
                is_warning: true,
                domain: [["group_id", "=", 1]],
            },
        ],
    };
    // Without the bundle that it comes with
    registry.category("actions").add("key_account_portfolio", Portfolio, {force: true});
    onRpc("key.account.portfolio", "get_portfolio", ({kwargs}) => {
        const {company_id, team_id, user_id, date_from, date_to} = kwargs;
        expect.step(["get", company_id, team_id, user_id, date_from, date_to]);
        return JSON.parse(JSON.stringify(data));
    });
    onRpc("key.account.risk", "get_risk", ({kwargs}) => {
        expect.step(["risk", kwargs.company_id, kwargs.date_from]);
        return JSON.parse(JSON.stringify(risk));
    });
    mockService("action", (env) => {
        const service = actionService.start(env);
        const {doAction} = service;
        service.loadAction = async (xmlId) => ({res_model: xmlId, name: "Accounts"});
        service.doAction = (action, options) => {
            if (action.res_model) {
                const {res_model, domain, res_id, context} = action;
                return expect.step(["open", res_model, domain || res_id, context]);
            }
            return doAction(action, options);
        };
        return service;
    });
});

async function openPortfolio() {
    await mountWithCleanup(WebClient);
    await getService("action").doAction({
        type: "ir.actions.client",
        tag: "key_account_portfolio",
        name: "Portfolio",
    });
    await animationFrame();
}

const OPENED = [
    ["get", false, false, false, false, false],
    ["risk", 1, false],
];
const ACCOUNTS = "crm_key_account.key_account_action_portfolio";
const picture = (name) => `.o_portfolio_picture[data-name=${name}]`;
const getChart = (name) => Chart.getChart(queryOne(`${picture(name)} canvas`));

function clickChart(name, datasetIndex, index) {
    const chart = getChart(name);
    chart.options.onClick({}, [{datasetIndex, index}]);
}

test("pictures in the order of the questions", async () => {
    await openPortfolio();
    expect.verifySteps(OPENED);
    expect(queryAllTexts(".o_portfolio_pictures h2")).toEqual([
        "Pyramid",
        "Pareto Curve",
        "Risk",
        "Concentration",
        "Effort",
        "Load",
        "Policy",
        "Moves",
        "Growth",
    ]);
    expect(queryAllTexts(".o_portfolio_figure .h4").slice(0, 2)).toEqual([
        "4",
        "1,000.00",
    ]);
    expect(getChart("pyramid").data.datasets[1].data).toEqual([80, 20]);
    expect(getChart("curve").data.datasets[0].data).toEqual([
        {x: 0, y: 0},
        {x: 25, y: 50},
        {x: 50, y: 80},
        {x: 100, y: 100},
    ]);
    // The boundaries of the tiers
    expect(getChart("curve").data.datasets[1].data).toEqual([
        {x: 50, y: 80},
        {x: 100, y: 100},
    ]);
    expect(`${picture("pyramid")} canvas`).toHaveAttribute(
        "aria-label",
        /Key account: Accounts 50 %, Revenue 80 %.*Hours –/
    );
});

test("bars, points and figures open their accounts", async () => {
    await openPortfolio();
    clickChart("pyramid", 1, 1);
    clickChart("curve", 0, 1);
    clickChart("curve", 1, 0);
    // The beginning of the curve stands for nobody
    clickChart("curve", 0, 0);
    clickChart("effort", 0, 0);
    clickChart("load", 0, 0);
    clickChart("moves", 0, 0);
    clickChart("concentration", 0, 0);
    await animationFrame();
    await contains(".o_portfolio_few").click();
    await contains("[data-key=too_little]").click();
    await contains("[data-key=top_5]").click();
    await contains(".o_portfolio_changes").click();
    await contains(".o_portfolio_policy button").click();
    const open = (domain) => ["open", ACCOUNTS, domain, {}];
    expect.verifySteps([
        ...OPENED,
        open([["tier_id", "=", 2]]),
        open([["period_revenue", ">=", 500]]),
        open([["tier_id", "=", 1]]),
        open([["id", "=", 21]]),
        open([["due", "=", 7]]),
        open([["moved", "=", true]]),
        open([["group_id", "=", 1]]),
        open([["period_revenue", ">=", 300]]),
        open([["fit", "=", "too_little"]]),
        open([["group_id", "in", [1]]]),
        [
            "open",
            "crm_key_account.key_account_tier_change_action",
            [["state", "=", "applied"]],
            {},
        ],
        ["open", "key.account.policy", 4, undefined],
    ]);
});

test("a table behind every picture", async () => {
    await openPortfolio();
    const names = ["pyramid", "curve", "concentration", "effort", "load", "moves"];
    for (const name of names) {
        expect(`${picture(name)} table`).toHaveCount(0);
        const toggle = `${picture(name)} .o_portfolio_toggle`;
        expect(toggle).toHaveAttribute("aria-pressed", "false");
        await contains(toggle).click();
        expect(toggle).toHaveAttribute("aria-pressed", "true");
        expect(`${picture(name)} canvas`).toHaveCount(0);
        expect(`${picture(name)} table caption`).toHaveCount(1);
        expect(`${picture(name)} tbody th button`).not.toHaveCount(0);
    }
    expect(queryAllTexts(`${picture("load")} tbody tr:first-child > *`)).toEqual([
        "Kate",
        "36",
        "30",
        "120 %",
        "3",
        "1",
    ]);
    expect(`${picture("load")} td.text-danger`).toHaveText("120 %");
    await contains(`${picture("effort")} tbody button`).click();
    expect.verifySteps([...OPENED, ["open", ACCOUNTS, [["id", "=", 21]], {}]]);
    await contains(`${picture("effort")} .o_portfolio_toggle`).click();
    expect(`${picture("effort")} canvas`).toHaveCount(1);
});

test("risks are lines with their formula", async () => {
    await openPortfolio();
    expect(queryAllTexts(`${picture("risk")} tbody tr :is(th, td)`)).toEqual([
        "Shrinking\nGrowth of -25 % or less",
        "2",
        "70.00",
    ]);
    await contains(`${picture("risk")} tbody button`).click();
    expect("[data-key=top_5]").toHaveText(/62.5 %/);
    expect("[data-key=top_5]").toHaveClass("text-danger");
    expect.verifySteps([
        ...OPENED,
        ["open", ACCOUNTS, [["is_shrinking", "=", true]], {}],
    ]);
});

test("without a model of risks the rest is there", async () => {
    data.has_risk = false;
    await openPortfolio();
    expect(picture("risk")).toHaveCount(0);
    expect(picture("moves")).toHaveCount(1);
    expect.verifySteps(OPENED.slice(0, 1));
});

test("team, salesperson and period", async () => {
    data.has_risk = false;
    await openPortfolio();
    await contains(".o_portfolio_team").select("2");
    await contains(".o_portfolio_user").select("7");
    await contains(".o_portfolio_period").select("this_year");
    await contains(".o_portfolio_period").select("last_year");
    await contains(".o_portfolio_period").select("three_months");
    await contains(".o_portfolio_period").select("window");
    await contains(".o_portfolio_user").select("");
    expect.verifySteps([
        ["get", false, false, false, false, false],
        ["get", false, 2, false, false, false],
        ["get", false, 2, 7, false, false],
        ["get", false, 2, 7, "2026-01-01", "2026-06-16"],
        ["get", false, 2, 7, "2025-01-01", "2025-12-31"],
        ["get", false, 2, 7, "2026-03-17", "2026-06-16"],
        ["get", false, 2, 7, false, false],
        ["get", false, 2, false, false, false],
    ]);
});

test("what is opened knows the period", async () => {
    data.context = {portfolio_from: "2026-01-01", portfolio_to: "2026-06-16"};
    data.period.is_window = false;
    await openPortfolio();
    // whose pictures know of none
    expect(".o_action").toHaveText(/; risks, growth and load are today's/);
    clickChart("pyramid", 0, 0);
    await animationFrame();
    expect.verifySteps([
        OPENED[0],
        ["risk", 1, "2025-06-17"],
        ["open", ACCOUNTS, [["tier_id", "=", 1]], data.context],
    ]);
});

test("a refused period says what to change, and the pictures stay", async () => {
    data.has_risk = false;
    await openPortfolio();
    await contains(".o_portfolio_period").select("custom");
    expect(queryOne(".o_portfolio_from").value).toBe("2025-06-17");
    onRpc("key.account.portfolio", "get_portfolio", () => {
        throw makeServerError({message: "The period ends before it begins"});
    });
    await contains(".o_portfolio_to").edit("2020-01-01");
    await animationFrame();
    expect(".o_notification").toHaveText(/The period ends before it begins/);
    expect(picture("pyramid")).toHaveCount(1);
    expect.verifySteps([
        OPENED[0],
        ["get", false, false, false, "2025-06-17", "2026-06-16"],
    ]);
});

test("empty states", async () => {
    Object.assign(data, {state: "never_run", has_risk: false});
    await openPortfolio();
    expect(".o_portfolio_empty").toHaveText(/never been tiered/);
    await contains(".o_portfolio_empty button").click();
    Object.assign(data, {state: "never_run", can_configure: false});
    await contains(".o_portfolio_period").select("last_year");
    expect(".o_portfolio_empty button").toHaveCount(0);
    Object.assign(data, {state: "empty"});
    await contains(".o_portfolio_user").select("7");
    expect(".o_portfolio_empty").toHaveText(/choose another team or salesperson/);
    expect.verifySteps([
        OPENED[0],
        ["open", "key.account.policy", 4, undefined],
        ["get", false, false, false, "2025-01-01", "2025-12-31"],
        ["get", false, false, 7, "2025-01-01", "2025-12-31"],
    ]);
});

test("outside sales", async () => {
    onRpc("key.account.portfolio", "get_portfolio", () => {
        throw makeServerError({
            type: "AccessError",
            errorName: "odoo.exceptions.AccessError",
        });
    });
    await openPortfolio();
    expect(".o_portfolio_empty").toHaveText(/You need a right of the Sales app/);
});

test("no planning, no load", async () => {
    Object.assign(data, {has_risk: false, load: {is_planned: false, rows: []}});
    await openPortfolio();
    expect(picture("load")).toHaveCount(0);
    expect(".o_portfolio_pictures").toHaveText(/Visits aren't planned in this company/);
    expect.verifySteps(OPENED.slice(0, 1));
});

test("one account alone, and nothing asked or moved", async () => {
    data.total.count = 1;
    Object.assign(data.curve.few, {count: 1, count_share: 100});
    data.effort.count = 1;
    data.load.rows = [];
    Object.assign(data.moves, {rows: [], up: 0});
    await openPortfolio();
    expect(".o_portfolio_few").toHaveText(
        "Accounts that make 80 % of the revenue: 1 of 1 (100 %)"
    );
    expect(picture("effort")).toHaveText(/with revenue or a visit \(1\)/);
    expect(picture("concentration")).toHaveText(/One group alone makes all/);
    // Neither axes without bars nor an empty table
    for (const name of ["load", "moves"]) {
        expect(`${picture(name)} canvas, ${picture(name)} table`).toHaveCount(0);
        expect(`${picture(name)} .o_portfolio_toggle`).toHaveCount(0);
    }
    expect(picture("load")).toHaveText(/No visits are asked for/);
    expect(picture("moves")).toHaveText(/Moved up: 0; moved down: 0/);
    expect.verifySteps(OPENED);
});

test("thousands of accounts are written as numbers are", async () => {
    data.effort.groups.too_little.count = 1894;
    await openPortfolio();
    expect("[data-key=too_little] .fw-bold").toHaveText("1,894");
    expect.verifySteps(OPENED);
});
