import {Component} from "@odoo/owl";
import {DropdownItem} from "@web/core/dropdown/dropdown_item";
import {registry} from "@web/core/registry";

/** Names a substitute for a leave. In the menu of the visits: it is wanted a few times a
 * year, and as a button it took the room of the title. */
export class SubstituteMenu extends Component {
    static template = "crm_key_account.SubstituteMenu";
    static components = {DropdownItem};
    static props = {};

    onSelected() {
        return this.env.services.action.doAction(
            "crm_key_account.key_account_visit_substitute_action"
        );
    }
}

registry.category("cogMenu").add(
    "key-account-substitute",
    {
        Component: SubstituteMenu,
        groupNumber: 5,
        isDisplayed: ({config, inDialog, searchModel}) =>
            !inDialog &&
            searchModel?.resModel === "key.account.visit" &&
            config.actionType === "ir.actions.act_window" &&
            ["list", "kanban"].includes(config.viewType),
    },
    {sequence: 20}
);
