import {defineModels, fields, models, mountView} from "@web/../tests/web_test_helpers";
import {describe, expect, test} from "@odoo/hoot";
import {getChart} from "@web/../tests/views/graph/graph_test_helpers";
import {mailModels} from "@mail/../tests/mail_test_helpers";

describe.current.tags("crm_key_account");

class History extends models.Model {
    _name = "key.account.relationship.history";
    month = fields.Date();
    level = fields.Selection({
        selection: [
            ["transactional", "Transactional"],
            ["preferred_supplier", "Preferred supplier"],
            ["partner", "Partner"],
        ],
    });
    _records = [
        {id: 1, month: "2026-01-01", level: "partner"},
        {id: 2, month: "2026-02-01", level: "preferred_supplier"},
        {id: 3, month: "2026-03-01", level: false},
        {id: 4, month: "2026-03-01", level: "transactional"},
    ];
}

defineModels({...mailModels, History});

test("series of levels come in their order", async () => {
    const view = await mountView({
        type: "graph",
        resModel: "key.account.relationship.history",
        arch: `
            <graph js_class="key_account_graph" type="bar" stacked="1">
                <field name="month" interval="month"/>
                <field name="level"/>
            </graph>`,
    });
    const {datasets} = getChart(view).data;
    // the sum is drawn as a line
    const bars = datasets.filter(({type}) => type !== "line");
    expect(bars.map(({label}) => label)).toEqual([
        "Transactional",
        "Preferred supplier",
        "Partner",
        "None",
    ]);
    expect(bars.map(({data}) => data)).toEqual([
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, 0, 1],
    ]);
});
