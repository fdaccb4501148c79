import {defineModels, fields, models, mountView} from "@web/../tests/web_test_helpers";
import {describe, expect, test} from "@odoo/hoot";
import {mailModels} from "@mail/../tests/mail_test_helpers";

describe.current.tags("crm_key_account");

class Visit extends models.Model {
    _name = "key.account.visit";
    track = fields.Selection({
        selection: [
            ["visit", "Visit"],
            ["contact", "Call or mail"],
            ["executive", "Executive visit"],
        ],
    });
    _records = [
        {id: 1, track: "visit"},
        {id: 2, track: "contact"},
        {id: 3, track: "executive"},
        {id: 4, track: false},
    ];
}

defineModels({...mailModels, Visit});

test("calls are told from visits by an icon", async () => {
    await mountView({
        type: "list",
        resModel: "key.account.visit",
        arch: `<list><field name="track" widget="key_account_track"/></list>`,
    });
    expect(".o_data_row i.fa-briefcase[title='Visit']").toHaveCount(1);
    expect(".o_data_row i.fa-phone[title='Call or mail']").toHaveCount(1);
    expect(".o_data_row i.fa-star[title='Executive visit']").toHaveCount(1);
    expect(".o_data_row i.fa").toHaveCount(3);
});
