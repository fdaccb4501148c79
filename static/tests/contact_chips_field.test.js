import {animationFrame, runAllTimers} from "@odoo/hoot-mock";
import {beforeEach, describe, expect, test} from "@odoo/hoot";
import {
    clickSave,
    contains,
    defineModels,
    fields,
    makeServerError,
    models,
    mountView,
    onRpc,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";
import {press, queryAllTexts} from "@odoo/hoot-dom";
import {ADD_TYPED} from "@crm_key_account/visit_report/contact_chips_field";
import {FormController} from "@web/views/form/form_controller";
import {mailModels} from "@mail/../tests/mail_test_helpers";

describe.current.tags("crm_key_account");

const COMPANY = 1;
const OTHER_COMPANY = 1002;
const ACCOUNT = 1007;
const ANN = 1012;
const BOB = 1013;
const GONE = 1014;
const NEW = 1015;

class Visit extends models.Model {
    _name = "key.account.visit";
    partner_id = fields.Many2one({relation: "res.partner"});
    company_id = fields.Many2one({relation: "res.company"});
    contact_ids = fields.Many2many({relation: "res.partner"});
    is_nobody_met = fields.Boolean();
    _records = [
        {id: 1, partner_id: ACCOUNT, company_id: COMPANY, contact_ids: []},
        {id: 2, partner_id: ACCOUNT, company_id: COMPANY, contact_ids: [BOB, GONE]},
        {id: 3, partner_id: false, company_id: COMPANY, contact_ids: []},
    ];
}

defineModels({...mailModels, Visit});

const ARCH = `
    <form>
        <field name="partner_id"/>
        <field name="company_id"/>
        <field name="contact_ids" widget="key_account_contact_chips"
            options="{'account_field': 'partner_id'}"/>
    </form>`;

const NOBODY_ARCH = ARCH.replace(
    "{'account_field': 'partner_id'}",
    "{'account_field': 'partner_id', 'nobody_field': 'is_nobody_met'}"
).replace("</form>", '<field name="is_nobody_met" invisible="1"/></form>');

// What the server answers; a test may change it
let data = {};

beforeEach(() => {
    mailModels.ResPartner._records = [
        ...mailModels.ResPartner._records,
        {id: ACCOUNT, name: "Kestrel"},
        {id: ANN, name: "Ann Lee"},
        {id: BOB, name: "Bob May"},
        {id: GONE, name: "Gone Away"},
        {id: NEW, name: "Zoe"},
    ];
    mailModels.ResCompany._records = [
        ...mailModels.ResCompany._records,
        {id: OTHER_COMPANY, name: "Elsewhere"},
    ];
    data = {
        can_create: true,
        contacts: [
            {id: ANN, name: "Ann Lee", place: "Buyer, Top"},
            {id: BOB, name: "Bob May", place: ""},
        ],
    };
    onRpc("key.account.visit", "get_report_contacts", ({args}) => {
        expect.step(["get", ...args]);
        return data;
    });
    onRpc("key.account.visit", "web_save", ({args}) => {
        expect.step(["save", args[1].contact_ids]);
    });
});

async function openVisit(resId = 1, arch = ARCH) {
    await mountView({type: "form", resModel: "key.account.visit", resId, arch});
}

const chip = (name) => `.o_contact_chip:contains(${name})`;

test("a tap says that a contact was met, another takes it back", async () => {
    await openVisit();
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
    expect(queryAllTexts(".o_contact_chip")).toEqual([
        "Ann Lee\nBuyer, Top",
        "Bob May",
    ]);
    expect(".o_contact_chip.active").toHaveCount(0);
    expect(chip("Ann")).toHaveAttribute("aria-pressed", "false");
    await contains(chip("Ann")).click();
    expect(chip("Ann")).toHaveClass("active");
    expect(chip("Ann")).toHaveAttribute("aria-pressed", "true");
    await contains(chip("Bob")).click();
    expect(".o_contact_chip.active").toHaveCount(2);
    await contains(chip("Ann")).click();
    expect(".o_contact_chip.active").toHaveCount(1);
    await clickSave();
    expect.verifySteps([["save", [[4, BOB]]]]);
});

test("whoever was met and has left since is still named", async () => {
    await openVisit(2);
    expect(chip("Bob")).toHaveClass("active");
    expect(chip("Gone")).toHaveClass("active");
    await contains(chip("Gone")).click();
    expect(chip("Gone")).toHaveCount(0);
    await clickSave();
    expect.verifySteps([
        ["get", ACCOUNT, COMPANY],
        ["save", [[3, GONE]]],
    ]);
});

test("without a customer, there is nobody", async () => {
    await openVisit(3);
    expect.verifySteps([]);
    expect(".o_contact_chip").toHaveCount(0);
});

test("many contacts: the first ones, then all", async () => {
    data.contacts = [...Array(20).keys()].map((number) => ({
        id: number ? 2000 + number : ANN,
        name: `Contact ${number + 1}`,
        place: "",
    }));
    await openVisit();
    expect(".o_contact_chip").toHaveCount(12);
    expect(".o_contact_chips_more").toHaveText("8 more");
    await contains(".o_contact_chips_more").click();
    expect(".o_contact_chip").toHaveCount(20);
    expect(".o_contact_chips_more").toHaveCount(0);
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
});

test("someone new", async () => {
    onRpc("res.partner", "create", ({args, kwargs}) => {
        expect.step(["create", args[0], kwargs.context.default_parent_id]);
        return [NEW];
    });
    data.contacts = [];
    await openVisit();
    expect(".o_contact_chips").toHaveText(/No contacts yet/);
    await contains(".o_contact_chips_add").click();
    await contains(".o_contact_chips_new input").edit(" Zoe ", {confirm: false});
    await press("Enter");
    await animationFrame();
    expect(chip("Zoe")).toHaveClass("active");
    expect(".o_contact_chips_new").toHaveCount(0);
    await clickSave();
    expect.verifySteps([
        ["get", ACCOUNT, COMPANY],
        ["create", [{name: "Zoe", type: "contact", is_company: false}], ACCOUNT],
        ["save", [[4, NEW]]],
    ]);
});

test("a second tap adds nobody", async () => {
    const created = Promise.withResolvers();
    onRpc("res.partner", "create", async () => {
        expect.step("create");
        await created.promise;
        return [NEW];
    });
    await openVisit();
    await contains(".o_contact_chips_add").click();
    await contains(".o_contact_chips_new input").edit("Zoe", {confirm: false});
    await contains(".o_contact_chips_new button").click();
    await contains(".o_contact_chips_new button").click();
    await press("Enter");
    created.resolve();
    await animationFrame();
    expect(chip("Zoe")).toHaveClass("active");
    expect.verifySteps([["get", ACCOUNT, COMPANY], "create"]);
});

test("someone new without a name is nobody", async () => {
    onRpc("res.partner", "create", () => expect.step("create"));
    await openVisit();
    await contains(".o_contact_chips_add").click();
    await contains(".o_contact_chips_new .btn-primary").click();
    expect(".o_contact_chips_new").toHaveCount(0);
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
});

test("who may not create contacts isn't asked to", async () => {
    data.can_create = false;
    await openVisit();
    expect(".o_contact_chips_add").toHaveCount(0);
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
});

test.tags("desktop");
test("another company has other contacts", async () => {
    await openVisit();
    data.contacts = [{id: BOB, name: "Bob May", place: ""}];
    await contains("[name=company_id] input").edit("Elsewhere", {confirm: false});
    await runAllTimers();
    await contains(".dropdown-item:contains(Elsewhere)").click();
    await animationFrame();
    expect(queryAllTexts(".o_contact_chip")).toEqual(["Bob May"]);
    expect.verifySteps([
        ["get", ACCOUNT, COMPANY],
        ["get", ACCOUNT, OTHER_COMPANY],
    ]);
});

test("a double tap says once that somebody was met", async () => {
    await openVisit();
    await contains(chip("Ann")).dblclick();
    expect(chip("Ann")).toHaveClass("active");
    await clickSave();
    expect.verifySteps([
        ["get", ACCOUNT, COMPANY],
        ["save", [[4, ANN]]],
    ]);
});

test("a new name that is known is that contact", async () => {
    onRpc("res.partner", "create", () => expect.step("create"));
    await openVisit();
    await contains(".o_contact_chips_add").click();
    await contains(".o_contact_chips_new input").edit("bob may", {confirm: false});
    await contains(".o_contact_chips_new .btn-primary").click();
    expect(chip("Bob")).toHaveClass("active");
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
});

test("a name that was typed and not added is added when the report asks", async () => {
    onRpc("res.partner", "create", ({args}) => {
        expect.step(["create", args[0][0].name]);
        return [NEW];
    });
    let model = null;
    patchWithCleanup(FormController.prototype, {
        setup() {
            super.setup(...arguments);
            model = this.model;
        },
    });
    await openVisit();
    await contains(".o_contact_chips_add").click();
    await contains(".o_contact_chips_new input").edit("Zoe", {confirm: false});
    const proms = [];
    model.bus.trigger(ADD_TYPED, proms);
    model.bus.trigger(ADD_TYPED, proms);
    await Promise.all(proms);
    await animationFrame();
    expect(chip("Zoe")).toHaveClass("active");
    expect.verifySteps([
        ["get", ACCOUNT, COMPANY],
        ["create", "Zoe"],
    ]);
});

test("nobody was there, or somebody", async () => {
    await openVisit(2, NOBODY_ARCH);
    await contains(chip("Nobody")).click();
    expect(chip("Nobody")).toHaveClass("active");
    expect(".o_contact_chip.active").toHaveCount(1);
    await contains(chip("Ann")).click();
    expect(chip("Nobody")).not.toHaveClass("active");
    expect(chip("Ann")).toHaveClass("active");
    await contains(chip("Nobody")).click();
    expect(".o_contact_chip.active").toHaveCount(1);
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
});

test("without a field for it, nobody isn't asked for", async () => {
    await openVisit();
    expect(".o_contact_chip_nobody").toHaveCount(0);
    expect.verifySteps([["get", ACCOUNT, COMPANY]]);
});

test("an error is shown, and the form stays", async () => {
    expect.errors(1);
    onRpc("key.account.visit", "get_report_contacts", () => {
        throw makeServerError({message: "Not there"});
    });
    await openVisit();
    await animationFrame();
    expect.verifyErrors(["Not there"]);
    expect(".o_form_view").toHaveCount(1);
    expect(".o_contact_chip").toHaveCount(0);
});
