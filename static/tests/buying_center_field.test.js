import {animationFrame, mockDate} from "@odoo/hoot-mock";
import {beforeEach, describe, expect, test} from "@odoo/hoot";
import {
    clickSave,
    contains,
    defineModels,
    makeServerError,
    mockService,
    mountView,
    onRpc,
} from "@web/../tests/web_test_helpers";
import {press, queryAllTexts, queryFirst, queryText, resize} from "@odoo/hoot-dom";
import {mailModels} from "@mail/../tests/mail_test_helpers";

describe.current.tags("crm_key_account");

const ACCOUNT = 1007;
const ANN = 1012;
const BOB = 1013;
const CAT = 1014;
const DAN = 1015;
const EVE = 1016;

class ResPartner extends mailModels.ResPartner {
    _views = {form: `<form><field name="name"/></form>`};
}

defineModels({...mailModels, ResPartner});

const ARCH = `
    <form>
        <field name="name"/>
        <notebook>
            <page string="Contacts" name="contacts"/>
            <page string="Buying Centre" name="buying_center">
                <field name="child_ids" widget="key_account_buying_center" nolabel="1"/>
            </page>
        </notebook>
    </form>`;

// What the server answers; a test may change it
let data = {};

function makeContact(id, name, values) {
    return {
        id,
        name,
        function: false,
        role_ids: [],
        level: false,
        stance: false,
        stance_name: "",
        last_met: false,
        is_recent: false,
        has_left: false,
        ...values,
    };
}

beforeEach(() => {
    mockDate("2026-06-15 12:00:00");
    ResPartner._records = [
        ...ResPartner._records,
        {id: ACCOUNT, name: "Kestrel"},
        {id: ANN, name: "Ann Lee"},
        {id: BOB, name: "Bob May"},
    ];
    data = {
        account: {id: ACCOUNT, name: "Kestrel"},
        current_contact_id: false,
        can_edit: true,
        is_own: true,
        period_months: 6,
        coverage: 57.14,
        single_threaded: true,
        contact_count: 1,
        rep_count: 1,
        sponsor: {id: 3, name: "Helen"},
        roles: [
            {id: 1, name: "Decision maker"},
            {id: 2, name: "User"},
            {id: 3, name: "Buyer"},
        ],
        levels: [
            {id: "top", name: "Top"},
            {id: "middle", name: "Middle"},
            {id: "working", name: "Working"},
        ],
        required: [
            {role_id: 1, level: "top", covered: true},
            {role_id: 3, level: "top", covered: false},
            {role_id: 2, level: false, covered: true},
            {role_id: false, level: "working", covered: false},
        ],
        contacts: [
            makeContact(ANN, "Ann Lee", {
                function: "Purchasing manager",
                role_ids: [1, 2],
                level: "top",
                stance: "champion",
                stance_name: "Champion",
                last_met: "2026-03-18",
                is_recent: true,
            }),
            makeContact(BOB, "Bob May", {
                role_ids: [2],
                level: "middle",
                stance: "opponent",
                stance_name: "Opponent",
                last_met: "2025-03-03",
            }),
            // A role that has been archived doesn't place a contact
            makeContact(CAT, "Cat Orr", {role_ids: [9], level: "working"}),
            makeContact(DAN, "Dan Roe", {
                role_ids: [3],
                stance: "neutral",
                stance_name: "Neutral",
            }),
            makeContact(EVE, "Eve Sun", {
                role_ids: [1],
                level: "top",
                stance: "supporter",
                stance_name: "Supporter",
                has_left: true,
            }),
        ],
    };
    onRpc("res.partner", "get_buying_center", ({args}) => {
        expect.step(["get", args]);
        return data;
    });
});

async function openMap(params = {}) {
    await mountView({
        type: "form",
        resModel: "res.partner",
        resId: ACCOUNT,
        arch: ARCH,
        ...params,
    });
    await contains(".o_notebook a[name=buying_center]").click();
    if (params.resId !== false) {
        expect.verifySteps([["get", [[params.resId || ACCOUNT]]]]);
    }
}

const cell = (roleId, level) => `td[data-role-id="${roleId}"][data-level="${level}"]`;
const card = (id) => `.o_buying_center_card[data-id="${id}"]`;

function stepContext(method) {
    onRpc("res.partner", method, ({args, kwargs}) => {
        const context = {...kwargs.context};
        for (const key of ["lang", "tz", "uid", "allowed_company_ids", "bin_size"]) {
            delete context[key];
        }
        expect.step([method, args[0], context]);
    });
}

// The parts that don't depend on the screen

test("nothing is fetched before the page is open", async () => {
    await mountView({
        type: "form",
        resModel: "res.partner",
        resId: ACCOUNT,
        arch: ARCH,
    });
    expect.verifySteps([]);
    await contains(".o_notebook a[name=buying_center]").click();
    expect.verifySteps([["get", [[ACCOUNT]]]]);
    await contains(".o_notebook a[name=contacts]").click();
    expect(".o_buying_center").toHaveCount(0);
    expect.verifySteps([]);
});

test("the header: coverage, single-threaded, sponsor", async () => {
    await openMap();
    expect(".o_buying_center_coverage").toHaveText("Coverage 57%");
    expect(".o_buying_center_coverage .progress").toHaveAttribute(
        "aria-valuenow",
        "57"
    );
    expect(queryFirst(".o_buying_center_coverage .progress-bar").style.width).toBe(
        "57.14%"
    );
    expect(".o_buying_center_single").toHaveText(
        "Single-threaded: 1 contact, 1 colleague"
    );
    expect(".o_buying_center_sponsor").toHaveText("Executive sponsor: Helen");
    expect(".o_buying_center_header").not.toHaveText(/Kestrel/);
});

test("the header with nothing required, more threads and no sponsor", async () => {
    Object.assign(data, {coverage: false, single_threaded: false, sponsor: false});
    await openMap();
    expect(".o_buying_center_coverage").toHaveCount(0);
    expect(".o_buying_center_single").toHaveCount(0);
    expect(".o_buying_center_sponsor").toHaveText("Executive sponsor: none");
});

test("the header counts contacts and colleagues", async () => {
    Object.assign(data, {coverage: 0, contact_count: 3, rep_count: 0});
    await openMap();
    expect(".o_buying_center_coverage").toHaveText("Coverage 0%");
    expect(".o_buying_center_single").toHaveText(
        "Single-threaded: 3 contacts, 0 colleagues"
    );
});

test("stances and last meetings", async () => {
    await openMap();
    expect(queryFirst(card(ANN))).toHaveClass("o_stance_champion");
    expect(`${card(ANN)}:first .badge`).toHaveText("Champion");
    expect(`${card(ANN)}:first`).toHaveAttribute(
        "title",
        "Ann Lee\nPurchasing manager\nChampion"
    );
    expect(`${card(ANN)}:first .o_buying_center_last_met`).toHaveText("met Mar 18");
    expect(`${card(ANN)}:first .o_buying_center_last_met`).not.toHaveClass(
        "text-muted"
    );

    expect(card(BOB)).toHaveClass("o_stance_opponent");
    expect(`${card(BOB)} .badge`).toHaveText("Opponent");
    expect(`${card(BOB)} .o_buying_center_last_met`).toHaveText("met Mar 3, 2025");
    expect(`${card(BOB)} .o_buying_center_last_met`).toHaveClass("text-muted");

    expect(card(CAT)).toHaveClass("o_stance_none");
    expect(`${card(CAT)} .badge`).toHaveCount(0);
    expect(card(CAT)).toHaveAttribute("title", "Cat Orr\nStance unknown");
    expect(`${card(CAT)} .o_buying_center_last_met`).toHaveText("never met");
    expect(`${card(CAT)} .o_buying_center_last_met`).toHaveClass("text-danger");

    expect(card(DAN)).toHaveClass("o_stance_neutral");
});

test("strips: not placed yet, left the company", async () => {
    await openMap();
    expect(`.o_buying_center_unplaced .o_buying_center_card`).toHaveCount(2);
    expect(`.o_buying_center_unplaced ${card(CAT)} .o_buying_center_place`).toHaveText(
        "Working"
    );
    expect(`.o_buying_center_unplaced ${card(DAN)} .o_buying_center_place`).toHaveText(
        "Buyer"
    );
    // Nowhere else, and folded
    expect(card(EVE)).toHaveCount(1);
    expect(".o_buying_center_left").not.toHaveAttribute("open");
    await contains(".o_buying_center_left summary").click();
    expect(`.o_buying_center_left ${card(EVE)}`).toBeVisible();
});

test("a contact's form shows the map of its account", async () => {
    data.current_contact_id = ANN;
    await openMap({resId: ANN});
    expect(".o_buying_center_header").toHaveText(/^Kestrel/);
    expect(card(ANN)).toHaveCount(2);
    expect(".o_buying_center_card.o_current").toHaveCount(2);
    expect(".o_current:first").toHaveAttribute("data-id", String(ANN));
    expect(".o_current:first").toHaveAttribute("aria-current", "true");
});

test("a card opens the contact; saving it reads the map and the form again", async () => {
    stepContext("web_read");
    await mountView({
        type: "form",
        resModel: "res.partner",
        resId: ACCOUNT,
        arch: ARCH,
    });
    await contains(".o_notebook a[name=buying_center]").click();
    expect.verifySteps([
        ["web_read", [ACCOUNT], {}],
        ["get", [[ACCOUNT]]],
    ]);
    onRpc("res.partner", "get_views", ({kwargs}) =>
        expect.step(kwargs.context.form_view_ref)
    );
    await contains(`${card(ANN)}:first`).click();
    expect(".modal .modal-title").toHaveText("Ann Lee");
    const context = {
        form_view_ref: "crm_key_account.res_partner_view_form_buying_center",
    };
    expect.verifySteps([context.form_view_ref, ["web_read", [ANN], context]]);
    data.contacts[0].name = "Ann Poe";
    await contains(".modal [name=name] input").edit("Ann Poe");
    await contains(".modal .o_form_button_save").click();
    expect(".modal").toHaveCount(0);
    expect(`${card(ANN)}:first`).toHaveText(/Ann Poe/);
    expect.verifySteps([
        ["get", [[ACCOUNT]]],
        ["web_read", [ACCOUNT], {}],
    ]);
});

test("saving a contact keeps what was typed in the form", async () => {
    await openMap();
    await contains(".o_field_widget[name=name] input").edit("Typed");
    await contains(`${card(ANN)}:first`).click();
    await contains(".modal [name=name] input").edit("Ann Poe");
    await contains(".modal .o_form_button_save").click();
    expect.verifySteps([["get", [[ACCOUNT]]]]);
    expect(".o_field_widget[name=name] input").toHaveValue("Typed");
    // Saving the form may have changed the contacts
    await clickSave();
    await animationFrame();
    expect.verifySteps([["get", [[ACCOUNT]]]]);
});

test("Enter opens a card", async () => {
    await openMap();
    queryFirst(card(BOB)).focus();
    await press("Enter");
    await animationFrame();
    expect(".modal .modal-title").toHaveText("Bob May");
});

test("the pencil edits the sponsor on the account", async () => {
    await openMap();
    stepContext("web_read");
    await contains(".o_buying_center_sponsor button").click();
    expect(".modal .modal-title").toHaveText("Kestrel");
    expect.verifySteps([
        [
            "web_read",
            [ACCOUNT],
            {form_view_ref: "crm_key_account.res_partner_view_form_sponsor"},
        ],
    ]);
    data.sponsor = {id: 4, name: "Igor"};
    await contains(".modal [name=name] input").edit("Kestrel 2");
    await contains(".modal .o_form_button_save").click();
    expect(".o_buying_center_sponsor").toHaveText("Executive sponsor: Igor");
    expect.verifySteps([
        ["get", [[ACCOUNT]]],
        ["web_read", [ACCOUNT], {}],
    ]);
});

test("the list button runs the account's action", async () => {
    mockService("action", {
        doAction: (action) => expect.step(action),
    });
    onRpc("res.partner", "action_view_buying_center", ({args}) => {
        expect.step(args);
        return {type: "ir.actions.act_window", name: "List"};
    });
    await openMap({resId: ANN});
    await contains(".o_buying_center_list").click();
    expect.verifySteps([[[ACCOUNT]], {type: "ir.actions.act_window", name: "List"}]);
});

test("no contacts yet", async () => {
    data.contacts = [];
    await openMap();
    expect(".o_buying_center").toHaveText(
        /No contacts yet: add the people who decide, buy and use\./
    );
    expect(".o_buying_center table, .o_buying_center_block").toHaveCount(0);
    expect(".o_buying_center_unplaced").toHaveCount(0);
    stepContext("onchange");
    await contains(".o_buying_center_add").click();
    expect.verifySteps([
        [
            "onchange",
            [],
            {
                form_view_ref: "crm_key_account.res_partner_view_form_buying_center",
                default_parent_id: ACCOUNT,
                default_type: "contact",
                default_is_company: false,
            },
        ],
    ]);
});

test("an unsaved customer has no map; saved, it has", async () => {
    await openMap({resId: false});
    expect(".o_buying_center").toHaveText("Save the customer first.");
    expect.verifySteps([]);
    await contains(".o_field_widget[name=name] input").edit("Merlin");
    await clickSave();
    await animationFrame();
    expect.verifySteps([["get", [[BOB + 1]]]]);
    expect(".o_buying_center_header").toHaveCount(1);
});

test("the map is read again for the next record", async () => {
    await openMap({resIds: [ACCOUNT, ANN]});
    expect(".o_buying_center_card.o_current").toHaveCount(0);
    data.current_contact_id = ANN;
    await contains(".o_pager_next").click();
    await animationFrame();
    expect.verifySteps([["get", [[ANN]]]]);
    expect(".o_buying_center_card.o_current").toHaveCount(2);
});

test("a failed read shows the error and keeps the form", async () => {
    expect.errors(1);
    onRpc("res.partner", "get_buying_center", () => {
        throw makeServerError({message: "Not yours"});
    });
    await mountView({
        type: "form",
        resModel: "res.partner",
        resId: ACCOUNT,
        arch: ARCH,
    });
    await contains(".o_notebook a[name=buying_center]").click();
    await animationFrame();
    expect(".o_error_dialog").toHaveText(/Not yours/);
    expect(".o_form_view .o_buying_center").toHaveCount(1);
    expect(".o_buying_center_card").toHaveCount(0);
    expect.verifyErrors(["Not yours"]);
});

test("read only: no plus, no pencil, forms that can't be edited", async () => {
    data.can_edit = false;
    await openMap();
    expect(card(ANN)).toHaveCount(2);
    expect(".o_buying_center_add").toHaveCount(0);
    expect(".o_buying_center_sponsor button").toHaveCount(0);
    expect(".o_buying_center_list").toHaveCount(1);
    await contains(card(BOB)).click();
    expect(".modal .o_form_readonly").toHaveCount(1);
});

test("a colleague's account: who met whom isn't shown", async () => {
    Object.assign(data, {is_own: false, required: [], coverage: false});
    for (const contact of data.contacts) {
        contact.last_met = false;
    }
    await openMap();
    expect(card(ANN)).toHaveCount(2);
    expect(".o_buying_center").not.toHaveText(/never met/);
    expect(".o_buying_center_mark").toHaveCount(0);
    expect(".o_buying_center_sponsor button").toHaveCount(0);
});

test("read only and no contacts", async () => {
    Object.assign(data, {can_edit: false, contacts: []});
    await openMap();
    expect(".o_buying_center").toHaveText(/No contacts yet/);
    expect(".o_buying_center_add").toHaveCount(0);
});

// The table

describe("desktop", () => {
    describe.current.tags("desktop");

    test("levels are rows, roles are columns", async () => {
        await openMap();
        expect(queryAllTexts(".o_buying_center thead th:not(:first-child)")).toEqual([
            "Decision maker",
            "User",
            "Buyer",
        ]);
        expect(".o_buying_center thead th[scope=col]").toHaveCount(4);
        expect(queryAllTexts(".o_buying_center tbody th[scope=row]")).toEqual([
            "Top",
            "Middle",
            "Working Gap",
        ]);
        expect(".o_buying_center td").toHaveCount(9);
        expect(".o_buying_center td .o_buying_center_card").toHaveCount(3);
        // One contact in two cells
        expect(`${cell(1, "top")} ${card(ANN)}`).toHaveCount(1);
        expect(`${cell(2, "top")} ${card(ANN)}`).toHaveCount(1);
        expect(`${cell(2, "middle")} ${card(BOB)}`).toHaveCount(1);
        expect(queryText(cell(1, "top"))).toMatch(/^Ann Lee\s+Purchasing manager\s/);
        expect(".o_buying_center_block").toHaveCount(0);
    });

    test("marks of what is required", async () => {
        await openMap();
        expect(".o_buying_center_mark").toHaveCount(4);
        expect(`${cell(1, "top")} .o_covered`).toHaveCount(1);
        expect(cell(1, "top")).not.toHaveClass("o_gap");
        expect(`${cell(3, "top")} .o_missing`).toHaveText("Gap");
        expect(`${cell(3, "top")} .o_missing`).toHaveAttribute(
            "title",
            "Required: somebody met here in the last 6 months"
        );
        expect(cell(3, "top")).toHaveClass("o_gap");
        expect("th:contains(User) .o_covered").toHaveAttribute(
            "aria-label",
            "Covered: somebody was met here in the last 6 months"
        );
        expect("th:contains(Working) .o_missing").toHaveCount(1);
        expect(".o_gap").toHaveCount(1);
    });

    test("drag a card to another cell", async () => {
        onRpc("res.partner", "move_in_buying_center", ({args}) => {
            expect.step(["move", args]);
            data.contacts[0].role_ids = [3, 2];
            data.contacts[0].level = "working";
            return true;
        });
        await openMap();
        await contains(`${cell(1, "top")} ${card(ANN)}`).dragAndDrop(
            cell(3, "working")
        );
        expect.verifySteps([
            ["move", [[ANN], 1, 3, "working"]],
            ["get", [[ACCOUNT]]],
        ]);
        await animationFrame();
        expect(`${cell(3, "working")} ${card(ANN)}`).toHaveCount(1);
        expect(`${cell(2, "working")} ${card(ANN)}`).toHaveCount(1);
        expect(`td ${card(ANN)}`).toHaveCount(2);
        // The drag was no click
        expect(".modal").toHaveCount(0);
    });

    test("drag from and to the strip", async () => {
        onRpc("res.partner", "move_in_buying_center", ({args}) => {
            expect.step(["move", args]);
            return true;
        });
        await openMap();
        await contains(card(DAN)).dragAndDrop(cell(1, "middle"));
        expect.verifySteps([
            ["move", [[DAN], false, 1, "middle"]],
            ["get", [[ACCOUNT]]],
        ]);
        await contains(card(BOB)).dragAndDrop(
            ".o_buying_center_unplaced .o_buying_center_group"
        );
        expect.verifySteps([
            ["move", [[BOB], 2, false, false]],
            ["get", [[ACCOUNT]]],
        ]);
    });

    test("a dropped card stands in its new cell before the server answers", async () => {
        let answer = () => {};
        onRpc(
            "res.partner",
            "move_in_buying_center",
            () => new Promise((resolve) => (answer = resolve))
        );
        await openMap();
        await contains(`${cell(1, "top")} ${card(ANN)}`).dragAndDrop(cell(3, "middle"));
        expect(`${cell(3, "middle")} ${card(ANN)}`).toHaveCount(1);
        expect(`${cell(2, "middle")} ${card(ANN)}`).toHaveCount(1);
        expect(`td ${card(ANN)}`).toHaveCount(2);
        expect.verifySteps([]);
        // The server's word is the last
        answer(true);
        await animationFrame();
        await animationFrame();
        expect.verifySteps([["get", [[ACCOUNT]]]]);
        expect(`${cell(1, "top")} ${card(ANN)}`).toHaveCount(1);
        expect(`${cell(3, "middle")} ${card(ANN)}`).toHaveCount(0);
    });

    test("a failed move shows the error and the map as it is", async () => {
        expect.errors(1);
        onRpc("res.partner", "move_in_buying_center", () => {
            throw makeServerError({message: "Not there"});
        });
        await openMap();
        await contains(`${cell(1, "top")} ${card(ANN)}`).dragAndDrop(
            cell(3, "working")
        );
        await animationFrame();
        expect.verifyErrors(["Not there"]);
        expect.verifySteps([["get", [[ACCOUNT]]]]);
        expect(".o_error_dialog").toHaveText(/Not there/);
        expect(`${cell(1, "top")} ${card(ANN)}`).toHaveCount(1);
        expect(`${cell(3, "working")} ${card(ANN)}`).toHaveCount(0);
    });

    test("a drop in the same cell does nothing", async () => {
        onRpc("res.partner", "move_in_buying_center", () => expect.step("move"));
        data.contacts[1].role_ids = [1];
        data.contacts[1].level = "top";
        await openMap();
        await contains(`${cell(1, "top")} ${card(ANN)}`).dragAndDrop(card(BOB));
        expect.verifySteps([]);
    });

    test("who has left can't be dragged", async () => {
        onRpc("res.partner", "move_in_buying_center", () => expect.step("move"));
        await openMap();
        await contains(".o_buying_center_left summary").click();
        await contains(card(EVE)).dragAndDrop(cell(3, "top"));
        expect.verifySteps([]);
    });

    test("who may not edit can't drag", async () => {
        onRpc("res.partner", "move_in_buying_center", () => expect.step("move"));
        data.can_edit = false;
        await openMap();
        await contains(card(BOB)).dragAndDrop(cell(3, "top"));
        expect.verifySteps([]);
    });

    test("a plus adds a contact to its cell", async () => {
        await openMap();
        expect("td .o_buying_center_add").toHaveCount(9);
        expect(`${cell(3, "top")} .o_buying_center_add`).toHaveAttribute(
            "aria-label",
            "Add a contact: Buyer, Top"
        );
        stepContext("onchange");
        await contains(`${cell(3, "top")} .o_buying_center_add`, {
            visible: false,
        }).click();
        expect(".modal .modal-title").toHaveText("New Contact");
        expect.verifySteps([
            [
                "onchange",
                [],
                {
                    form_view_ref:
                        "crm_key_account.res_partner_view_form_buying_center",
                    default_parent_id: ACCOUNT,
                    default_type: "contact",
                    default_is_company: false,
                    default_buying_role_ids: [[6, 0, [3]]],
                    default_decision_level: "top",
                },
            ],
        ]);
        await contains(".modal [name=name] input").edit("Fay New");
        await contains(".modal .o_form_button_save").click();
        expect.verifySteps([["get", [[ACCOUNT]]]]);
    });

    test("a narrow window shows the blocks: no drag there", async () => {
        await openMap();
        expect(".o_buying_center table").toHaveCount(1);
        const wide = await contains(card(DAN)).drag();
        expect(".o_dragged").toHaveCount(1);
        await wide.cancel();

        await resize({width: 390});
        await animationFrame();
        expect(".o_buying_center table").toHaveCount(0);
        expect(".o_buying_center_block").toHaveCount(3);
        const narrow = await contains(card(DAN)).drag();
        expect(".o_dragged").toHaveCount(0);
        await narrow.cancel();
        expect.verifySteps([]);
    });
});

// The blocks

describe("phone", () => {
    describe.current.tags("mobile");

    test("a block for each level, a line for each role with someone or a gap", async () => {
        await openMap();
        expect(".o_buying_center table").toHaveCount(0);
        expect(".o_buying_center_block").toHaveCount(3);
        expect(queryAllTexts(".o_buying_center_block h5")).toEqual([
            "Top",
            "Middle",
            "Working Gap",
        ]);
        expect(
            queryAllTexts(".o_buying_center_block:first .o_buying_center_role")
        ).toEqual(["Decision maker", "User", "Buyer\n Gap"]);
        expect(`.o_buying_center_block:first ${card(ANN)}`).toHaveCount(2);
        expect(".o_buying_center_line.o_gap").toHaveCount(1);
        expect(".o_buying_center_block:eq(1) .o_buying_center_line").toHaveCount(1);
        expect(".o_buying_center_block:eq(1) .o_buying_center_empty").toHaveText(
            /Nobody:\s+Decision maker\s+Buyer/
        );
        // The required role of any level
        expect(".o_buying_center_roles").toHaveText(/^At any level:\s+User$/);
        expect(".o_buying_center_roles .o_covered").toHaveCount(1);
        // Nothing to scroll sideways
        const {scrollWidth, clientWidth} = queryFirst(".o_buying_center");
        expect(scrollWidth).toBe(clientWidth);
    });

    test("a plus of a line and one of an empty role", async () => {
        await openMap();
        stepContext("onchange");
        const context = {
            form_view_ref: "crm_key_account.res_partner_view_form_buying_center",
            default_parent_id: ACCOUNT,
            default_type: "contact",
            default_is_company: false,
        };
        await contains(".o_buying_center_line.o_gap .o_buying_center_add").click();
        expect.verifySteps([
            [
                "onchange",
                [],
                {
                    ...context,
                    default_buying_role_ids: [[6, 0, [3]]],
                    default_decision_level: "top",
                },
            ],
        ]);
        await contains(".modal .o_form_button_cancel, .modal .oi-arrow-left").click();
        await contains(
            ".o_buying_center_block:eq(2) .o_buying_center_empty button:contains(User)"
        ).click();
        expect.verifySteps([
            [
                "onchange",
                [],
                {
                    ...context,
                    default_buying_role_ids: [[6, 0, [2]]],
                    default_decision_level: "working",
                },
            ],
        ]);
    });

    test("read only: empty roles are words", async () => {
        data.can_edit = false;
        await openMap();
        expect(".o_buying_center_block:eq(1) .o_buying_center_empty").toHaveText(
            /Nobody:\s+Decision maker\s+Buyer/
        );
        expect(".o_buying_center_empty button").toHaveCount(0);
    });
});
