import {
    contains,
    getService,
    makeServerError,
    mockService,
    mountWithCleanup,
    onRpc,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";
import {animationFrame, mockDate} from "@odoo/hoot-mock";
import {beforeEach, describe, expect, test} from "@odoo/hoot";
import {queryAll, queryAllTexts, queryFirst, queryOne, resize} from "@odoo/hoot-dom";
import {actionService} from "@web/webclient/actions/action_service";
import {WebClient} from "@web/webclient/webclient";
import {defineMailModels} from "@mail/../tests/mail_test_helpers";
import {localization} from "@web/core/l10n/localization";

describe.current.tags("crm_key_account");
defineMailModels();

const KATE = 7;
const HELEN = 8;

// What the server answers; a test may change it
let data = {};

function makeCard(id, name, values) {
    return {
        id,
        name,
        date: "2026-06-15",
        user_id: KATE,
        user_name: "Kate",
        state: "planned",
        tier: "Key account",
        tier_code: "A",
        color: 10,
        load: 1,
        track: "visit",
        track_name: "Visit",
        summary: "Key account, weekly",
        is_fixed: false,
        is_overdue: false,
        days_overdue: 0,
        meeting: false,
        ...values,
    };
}

beforeEach(() => {
    mockDate("2026-06-16 12:00:00");
    const capacities = {"2026-06-15": 1, "2026-06-16": 6, "2026-06-17": 6};
    data = {
        today: "2026-06-16",
        start: "2026-06-15",
        end: "2026-06-21",
        days: ["2026-06-15", "2026-06-16", "2026-06-17", "2026-06-18"],
        see_all: true,
        is_manager: true,
        teams: [
            {id: 1, name: "Europe"},
            {id: 2, name: "America"},
        ],
        rows: [
            {user_id: false, name: "Unassigned", capacities: {}},
            {user_id: KATE, name: "Kate", capacities},
            {user_id: HELEN, name: "Helen", capacities: {"2026-06-16": 4}},
        ],
        visits: [
            makeCard(1, "Kestrel", {state: "done"}),
            makeCard(2, "Late", {is_overdue: true, days_overdue: 29}),
            makeCard(3, "Modern", {
                date: "2026-06-16",
                is_fixed: true,
                meeting: "09:00",
                track: "contact",
                track_name: "Call",
            }),
            makeCard(4, "Nobody's", {user_id: false, date: "2026-06-17"}),
        ],
        overdue: [makeCard(5, "Old", {date: "2026-06-01", is_overdue: true})],
        backlog: [
            makeCard(6, "Waiting", {
                reason: "No capacity left",
                date_due: "2026-06-12",
                days_overdue: 4,
                overdue_ratio: 1.5,
            }),
        ],
        backlog_count: 1,
    };
    onRpc("key.account.visit", "get_week_board", ({kwargs}) => {
        const {date, team_id, own} = kwargs;
        expect.step(["get", date, team_id, own]);
        return JSON.parse(JSON.stringify(data));
    });
});

async function openBoard() {
    await mountWithCleanup(WebClient);
    await getService("action").doAction({
        type: "ir.actions.client",
        tag: "key_account_week_board",
        name: "Week Board",
    });
}

const group = (userId, day) =>
    `.o_week_board_group[data-user-id="${userId || ""}"][data-date="2026-06-${day}"]`;
const card = (name) =>
    `.o_week_board_card:has(.o_week_board_card_name:contains("${name}"))`;

describe("desktop", () => {
    describe.current.tags("desktop");

    test("rows, days and cards", async () => {
        await openBoard();
        expect.verifySteps([["get", false, false, false]]);
        expect(".o_week_board_title").toHaveText("Jun 15 to Jun 21");
        expect(queryAllTexts("tbody th .o_week_board_name")).toEqual([
            "Unassigned",
            "Kate",
            "Helen",
        ]);
        expect(queryAllTexts("tbody th .o_week_board_total")).toEqual([
            "1",
            "3 / 13",
            "0 / 4",
        ]);
        expect("thead th.o_today").toHaveText(/16/);
        expect(queryAllTexts(`${group(KATE, 15)} .o_week_board_card_name`)).toEqual([
            "Kestrel",
            "Late",
        ]);
        expect(`${group(KATE, 15)} .o_done`).toHaveText(/Kestrel/);
        expect(`${group(KATE, 15)} .o_overdue`).toHaveText(/Late/);
        expect(card("Late")).toHaveText(/29 days late/);
        expect(`${card("Modern")} .fa-phone`).toHaveCount(1);
        expect(`${card("Modern")} .fa-thumb-tack`).toHaveCount(1);
        expect(card("Modern")).toHaveText(/09:00/);
        expect(`${card("Modern")} .o_tag_color_10`).toHaveText("A");
        expect(group(false, 17)).toHaveText(/Nobody's/);
        expect(card("Waiting")).toHaveText(/due Jun 12/);
        expect(card("Waiting")).toHaveText(/4 days late/);
    });

    test("load against capacity", async () => {
        await openBoard();
        const load = (userId, day) =>
            queryFirst(group(userId, day)).parentElement.querySelector(
                ".o_week_board_load"
            );
        expect(load(KATE, 15)).toHaveText("2 / 1");
        expect(load(KATE, 15)).toHaveClass("text-danger");
        expect(load(KATE, 16)).toHaveText("1 / 6");
        expect(load(KATE, 16)).not.toHaveClass("text-danger");
        expect(load(KATE, 18)).toHaveText("Off");
        expect(queryOne(group(KATE, 18)).parentElement).toHaveClass("o_off");
        expect(load(false, 17)).toBe(null);
        expect.verifySteps([["get", false, false, false]]);
    });

    test("parts of a visit are written as the language writes them", async () => {
        data.visits.find(({name}) => name === "Modern").load = 0.25;
        await openBoard();
        expect("tbody tr:eq(1) .o_week_board_total").toHaveText("2.25 / 13");
        patchWithCleanup(localization, {decimalPoint: ","});
        await contains(".o_week_board_next").click();
        expect("tbody tr:eq(1) .o_week_board_total").toHaveText("2,25 / 13");
        expect(`.o_week_board_load[title="0,25 of 6 visits"]`).toHaveText("0,25 / 6");
        expect.verifySteps([
            ["get", false, false, false],
            ["get", "2026-06-22", false, false],
        ]);
    });

    test("drag a card to another day and to a colleague", async () => {
        onRpc("key.account.visit", "action_move", ({args}) => {
            expect.step(["move", args]);
            data.visits[0].date = "2026-06-16";
            data.visits[0].user_id = HELEN;
            return true;
        });
        data.visits[0].state = "planned";
        await openBoard();
        expect.verifySteps([["get", false, false, false]]);
        await contains(card("Kestrel")).dragAndDrop(group(HELEN, 16));
        await animationFrame();
        expect.verifySteps([
            ["move", [[1], "2026-06-16", HELEN]],
            ["get", false, false, false],
        ]);
        expect(`${group(HELEN, 16)} ${card("Kestrel")}`).toHaveCount(1);
        expect(card("Kestrel")).toHaveCount(1);
    });

    test("a day off asks first", async () => {
        onRpc("key.account.visit", "action_move", ({args}) => {
            expect.step(["move", args]);
            return true;
        });
        await openBoard();
        await contains(card("Modern")).dragAndDrop(group(HELEN, 17));
        await animationFrame();
        expect(".modal").toHaveText(/Helen doesn't work on Wednesday, Jun 17/);
        await contains(".modal .btn-secondary").click();
        expect(`${group(KATE, 16)} ${card("Modern")}`).toHaveCount(1);
        expect.verifySteps([["get", false, false, false]]);
        await contains(card("Modern")).dragAndDrop(group(HELEN, 17));
        await animationFrame();
        await contains(".modal .btn-primary").click();
        expect.verifySteps([
            ["move", [[3], "2026-06-17", HELEN]],
            ["get", false, false, false],
        ]);
        // nobody's days are all alike
        await contains(card("Modern")).dragAndDrop(group(false, 18));
        await animationFrame();
        expect(".modal").toHaveCount(0);
        expect.verifySteps([
            ["move", [[3], "2026-06-18", false]],
            ["get", false, false, false],
        ]);
    });

    test("what was dropped can be undone", async () => {
        onRpc("key.account.visit", "action_move", () => true);
        onRpc("key.account.due", "action_plan", () => 9);
        for (const method of ["action_undo_move", "action_undo_plan"]) {
            onRpc("key.account.visit", method, ({args}) => {
                expect.step([method, args]);
                return true;
            });
        }
        await openBoard();
        await contains(card("Modern")).dragAndDrop(group(KATE, 17));
        await animationFrame();
        expect(".o_notification").toHaveText(/Modern: Wed, Jun 17/);
        await contains(".o_notification_buttons button").click();
        await animationFrame();
        expect(".o_notification").toHaveCount(0);
        await contains(card("Waiting")).dragAndDrop(group(KATE, 16));
        await animationFrame();
        await contains(".o_notification_buttons button").click();
        await animationFrame();
        expect.verifySteps([
            ["get", false, false, false],
            ["get", false, false, false],
            ["action_undo_move", [[3], "2026-06-16", KATE, true, ["2026-06-17", KATE]]],
            ["get", false, false, false],
            ["get", false, false, false],
            ["action_undo_plan", [[9]]],
            ["get", false, false, false],
        ]);
    });

    test("rows don't move under a drag", async () => {
        await openBoard();
        const tops = () =>
            queryAll("tbody tr, .o_week_board_side h6").map((el) =>
                Math.round(el.getBoundingClientRect().top)
            );
        const before = tops();
        const {drop, moveTo} = await contains(card("Late")).drag();
        await moveTo(group(false, 16));
        expect(group(false, 16)).toHaveClass("o_hover");
        expect(tops()).toEqual(before);
        await moveTo(group(HELEN, 16));
        expect(tops()).toEqual(before);
        await moveTo(group(KATE, 15));
        expect(tops()).toEqual(before);
        await drop();
        expect(tops()).toEqual(before);
        expect.verifySteps([["get", false, false, false]]);
    });

    test("drag from the backlog and from earlier weeks", async () => {
        onRpc("key.account.due", "action_plan", ({args}) => {
            expect.step(["plan", args]);
            data.backlog = [];
            data.backlog_count = 0;
            data.visits.push(makeCard(9, "Waiting", {date: "2026-06-17"}));
            return 9;
        });
        onRpc("key.account.visit", "action_move", ({args}) => {
            expect.step(["move", args]);
            return true;
        });
        await openBoard();
        await contains(card("Waiting")).dragAndDrop(group(KATE, 17));
        await animationFrame();
        expect(`${group(KATE, 17)} ${card("Waiting")}`).toHaveCount(1);
        expect(".o_week_board_side").toHaveText(/Every visit that is due has a day/);
        await contains(card("Old")).dragAndDrop(group(false, 16));
        await animationFrame();
        expect.verifySteps([
            ["get", false, false, false],
            ["plan", [[6], "2026-06-17", KATE]],
            ["get", false, false, false],
            ["move", [[5], "2026-06-16", false]],
            ["get", false, false, false],
        ]);
    });

    test("a refused move says why, and the card goes back", async () => {
        onRpc("key.account.visit", "action_move", () => {
            throw makeServerError({message: "This day has passed"});
        });
        await openBoard();
        await contains(card("Modern")).dragAndDrop(group(KATE, 15));
        await animationFrame();
        expect(".o_notification:contains(This day has passed)").toHaveCount(1);
        expect(`${group(KATE, 16)} ${card("Modern")}`).toHaveCount(1);
        expect(card("Modern")).toHaveCount(1);
        expect.verifySteps([
            ["get", false, false, false],
            ["get", false, false, false],
        ]);
    });

    test("a day on which nobody receives is asked about", async () => {
        onRpc("key.account.visit", "action_move", ({args}) => {
            expect.step(["move", args]);
            return true;
        });
        data.visits[2].closed = ["2026-06-17"];
        data.visits[2].receiving = "Tue 9:00 – 11:00";
        await openBoard();
        await contains(card("Modern")).dragAndDrop(group(KATE, 17));
        await animationFrame();
        expect(".modal-body").toHaveText(/Modern receives nobody.*Tue 9:00 – 11:00/);
        await contains(".modal-footer .btn-secondary").click();
        expect(`${group(KATE, 16)} ${card("Modern")}`).toHaveCount(1);
        await contains(card("Modern")).dragAndDrop(group(KATE, 17));
        await contains(".modal-footer .btn-primary").click();
        await animationFrame();
        expect.verifySteps([
            ["get", false, false, false],
            ["move", [[3], "2026-06-17", KATE]],
            ["get", false, false, false],
        ]);
    });

    test("what isn't planned, and the backlog as a target, don't move", async () => {
        onRpc("key.account.visit", "action_move", () => expect.step("move"));
        await openBoard();
        await contains(card("Kestrel")).dragAndDrop(group(KATE, 16));
        await contains(card("Modern")).dragAndDrop(
            ".o_week_board_side .o_week_board_group:last"
        );
        await animationFrame();
        expect.verifySteps([["get", false, false, false]]);
        expect(`${group(KATE, 15)} ${card("Kestrel")}`).toHaveCount(1);
        expect(`${group(KATE, 16)} ${card("Modern")}`).toHaveCount(1);
    });

    test("planning that is switched off says so", async () => {
        mockService("action", (env) => {
            const service = actionService.start(env);
            const {doAction} = service;
            service.doAction = (action, options) =>
                typeof action === "string"
                    ? expect.step(action)
                    : doAction(action, options);
            return service;
        });
        const off = {empty: "off", can_start: false, can_set: true};
        Object.assign(data, off, {backlog: [], backlog_count: 0});
        await openBoard();
        expect(".o_week_board_side").toHaveText(/Planning is switched off/);
        expect(".o_week_board_side").not.toHaveText(/No visits have been planned/);
        expect(".o_week_board_start").toHaveCount(0);
        await contains(".o_week_board_settings").click();
        expect.verifySteps([
            ["get", false, false, false],
            "crm.crm_config_settings_action",
        ]);
    });

    test("other weeks and teams", async () => {
        await openBoard();
        await contains(".o_week_board_next").click();
        await contains(".o_week_board_previous").click();
        await contains(".o_week_board_team").select("2");
        await contains(".o_week_board_today").click();
        expect.verifySteps([
            ["get", false, false, false],
            ["get", "2026-06-22", false, false],
            ["get", "2026-06-08", false, false],
            ["get", "2026-06-08", 2, false],
            ["get", false, 2, false],
        ]);
    });

    test("a card opens its visit, a row of the backlog its customer", async () => {
        onRpc("key.account.due", "action_open_document", () => ({
            res_model: "res.partner",
            res_id: 11,
        }));
        mockService("action", (env) => {
            const service = actionService.start(env);
            const {doAction} = service;
            service.doAction = (action, options) => {
                if (action.res_model) {
                    return expect.step([action.res_model, action.res_id]);
                }
                return doAction(action, options);
            };
            return service;
        });
        await openBoard();
        await contains(card("Kestrel")).click();
        await contains(card("Waiting")).click();
        expect.verifySteps([
            ["get", false, false, false],
            ["key.account.visit", 1],
            ["res.partner", 11],
        ]);
    });

    test("on a narrow screen, the own week", async () => {
        await openBoard();
        await resize({width: 390, height: 844});
        await animationFrame();
        await animationFrame();
        expect(".o_week_board table").toHaveCount(0);
        expect(".o_week_board_list").toHaveCount(1);
        expect.verifySteps([
            ["get", false, false, false],
            ["get", false, false, true],
        ]);
    });
});

describe("phone", () => {
    describe.current.tags("mobile");

    beforeEach(() => {
        Object.assign(data, {
            see_all: false,
            is_manager: false,
            teams: [],
            rows: [data.rows[1]],
            visits: data.visits.slice(0, 3),
        });
    });

    test("the own week as a list", async () => {
        await openBoard();
        expect.verifySteps([["get", false, false, true]]);
        expect(".o_week_board table").toHaveCount(0);
        expect(".o_week_board_day").toHaveCount(4);
        expect(".o_week_board_scope").toHaveCount(0);
        expect(".o_week_board_list .o_week_board_total").toHaveText("3 / 13");
        expect(".o_week_board_day.o_today").toHaveText(/Modern/);
        expect(".o_week_board_day:eq(2)").toHaveText(/No visits/);
        expect(".o_week_board_day:eq(0) .o_week_board_load").toHaveText("2 / 1");
        expect(card("Old")).toHaveCount(1);
        const content = queryOne(".o_week_board .o_content");
        expect(content.scrollWidth).toBe(content.clientWidth);
    });

    test("the backlog is folded", async () => {
        await openBoard();
        expect(card("Waiting")).toHaveCount(0);
        await contains(".o_week_board_fold").click();
        expect(card("Waiting")).toHaveText(/No capacity left/);
        expect(".o_week_board_fold").toHaveAttribute("aria-expanded", "true");
        await contains(".o_week_board_fold").click();
        expect(card("Waiting")).toHaveCount(0);
        expect.verifySteps([["get", false, false, true]]);
    });

    test("a manager's team", async () => {
        const own = {...data};
        const {rows} = data;
        data.is_manager = true;
        await openBoard();
        expect.verifySteps([["get", false, false, true]]);
        Object.assign(data, own, {
            see_all: true,
            is_manager: true,
            rows: [
                {user_id: false, name: "Unassigned", capacities: {}},
                ...rows,
                {user_id: HELEN, name: "Helen", capacities: {"2026-06-16": 4}},
            ],
        });
        await contains(".o_week_board_show_team").click();
        expect.verifySteps([["get", false, false, false]]);
        expect(queryAllTexts(".o_week_board_row .o_week_board_name")).toEqual([
            "Unassigned",
            "Kate",
            "Helen",
        ]);
        expect(queryAllTexts(".o_week_board_row .o_week_board_total")).toEqual([
            "0",
            "3 / 13",
            "0 / 4",
        ]);
        expect(".o_week_board_row:last .o_week_board_cell").toHaveCount(4);
        await contains(".o_week_board_row:contains(Helen)").click();
        expect(".o_week_board_day").toHaveCount(4);
        expect(card("Modern")).toHaveCount(0);
        expect(card("Old")).toHaveCount(0);
        await contains(".o_week_board_back").click();
        await contains(".o_week_board_row:contains(Kate)").click();
        expect(card("Modern")).toHaveCount(1);
        expect(card("Old")).toHaveCount(1);
        Object.assign(data, own);
        await contains(".o_week_board_scope button:first").click();
        expect(".o_week_board_back").toHaveCount(0);
        expect.verifySteps([["get", false, false, true]]);
    });

    test("other weeks", async () => {
        await openBoard();
        await contains(".o_week_board_next").click();
        expect.verifySteps([
            ["get", false, false, true],
            ["get", "2026-06-22", false, true],
        ]);
    });
});
