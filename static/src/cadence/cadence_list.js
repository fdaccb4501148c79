import {ListController} from "@web/views/list/list_controller";
import {listView} from "@web/views/list/list_view";
import {registry} from "@web/core/registry";

/** Lines of the cadence hide those below: when one is saved, the others tell anew. */
export class CadenceListController extends ListController {
    async onRecordSaved(record) {
        await super.onRecordSaved(...arguments);
        const {orm, root} = this.model;
        const others = root.records.filter((each) => each !== record && each.resId);
        const ids = others.map(({resId}) => resId);
        const rows = ids.length
            ? await orm.read(root.resModel, ids, ["hidden_text"], {
                  context: root.context,
              })
            : [];
        for (const row of rows) {
            others.find(({resId}) => resId === row.id)._applyValues(row);
        }
    }
}

registry.category("views").add("key_account_cadence_list", {
    ...listView,
    Controller: CadenceListController,
});
