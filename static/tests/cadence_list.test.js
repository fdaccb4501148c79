import {
    contains,
    defineModels,
    fields,
    models,
    mountView,
    onRpc,
} from "@web/../tests/web_test_helpers";
import {describe, expect, test} from "@odoo/hoot";
import {mailModels} from "@mail/../tests/mail_test_helpers";

describe.current.tags("crm_key_account");

class Cadence extends models.Model {
    _name = "key.account.cadence";
    name = fields.Char();
    hidden_text = fields.Char();
    _records = [
        {id: 1, name: "Key account"},
        {id: 2, name: "Ordinary account"},
    ];
}

defineModels({...mailModels, Cadence});

test("once a line is saved, the others say whether it hides them", async () => {
    onRpc("key.account.cadence", "read", ({args: [ids, names]}) => {
        expect.step([ids, names]);
        return ids.map((id) => ({id, hidden_text: "Hidden by “Every tier” above"}));
    });
    await mountView({
        type: "list",
        resModel: "key.account.cadence",
        arch: `
            <list js_class="key_account_cadence_list" editable="bottom">
                <field name="name"/>
                <field name="hidden_text"/>
            </list>`,
    });
    await contains(".o_data_row:eq(0) td[name=name]").click();
    await contains("[name=name] input").edit("Every tier", {confirm: false});
    await contains(".o_list_button_save").click();
    expect.verifySteps([[[2], ["hidden_text"]]]);
    expect(".o_data_row:eq(0) td[name=hidden_text]").toHaveText("");
    expect(".o_data_row:eq(1) td[name=hidden_text]").toHaveText(
        "Hidden by “Every tier” above"
    );
});
