import {
    defineModels,
    fields,
    models,
    mountView,
    serverState,
} from "@web/../tests/web_test_helpers";
import {describe, expect, test} from "@odoo/hoot";
import {mailModels} from "@mail/../tests/mail_test_helpers";

describe.current.tags("crm_key_account");

class KeyAccount extends models.Model {
    _name = "key.account";
    next_visit_date = fields.Date();
    next_visit_user_id = fields.Many2one({relation: "res.users"});
    days_overdue = fields.Integer();
    overdue_user_id = fields.Many2one({relation: "res.users"});
    _records = [
        {id: 1, next_visit_date: "2019-03-12", days_overdue: 30},
        {
            id: 2,
            next_visit_date: "2019-03-13",
            next_visit_user_id: serverState.userId,
            days_overdue: 239,
            overdue_user_id: serverState.userId,
        },
        {id: 3, next_visit_date: false, days_overdue: 0},
    ];
}

defineModels({...mailModels, KeyAccount});

test("an executive's visit says whose it is", async () => {
    await mountView({
        type: "list",
        resModel: "key.account",
        arch: `
            <list>
                <field name="next_visit_date" widget="key_account_next_visit"/>
            </list>`,
    });
    expect(".o_data_row:eq(0) td[name=next_visit_date]").toHaveText("Mar 12");
    expect(".o_data_row:eq(0) img").toHaveCount(0);
    expect(".o_data_row:eq(1) td[name=next_visit_date]").toHaveText("Mar 13");
    expect(".o_data_row:eq(1) img").toHaveAttribute(
        "title",
        `Executive visit of ${serverState.partnerName}`
    );
    expect(".o_data_row:eq(2) img").toHaveCount(0);
});

test("days late say the same", async () => {
    await mountView({
        type: "list",
        resModel: "key.account",
        arch: `
            <list>
                <field name="days_overdue" widget="key_account_days_late"/>
            </list>`,
    });
    expect(".o_data_row:eq(0) td[name=days_overdue]").toHaveText("30");
    expect(".o_data_row:eq(0) img").toHaveCount(0);
    expect(".o_data_row:eq(1) td[name=days_overdue]").toHaveText("239");
    expect(".o_data_row:eq(1) img").toHaveAttribute(
        "title",
        `Executive visit of ${serverState.partnerName}`
    );
    expect(".o_data_row:eq(2) td[name=days_overdue]").toHaveText("");
});
