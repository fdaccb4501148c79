import {Component} from "@odoo/owl";
import {DropdownItem} from "@web/core/dropdown/dropdown_item";
import {registry} from "@web/core/registry";
import {user} from "@web/core/user";
import {useService} from "@web/core/utils/hooks";

/** Brings back the panel of the first steps that somebody has closed. */
export class StartMenu extends Component {
    static template = "crm_key_account.StartMenu";
    static components = {DropdownItem};
    static props = {};

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
    }

    async onSelected() {
        await this.action.doAction(
            await this.orm.call("key.account.start", "action_open", [])
        );
    }
}

registry.category("cogMenu").add(
    "key-account-first-steps",
    {
        Component: StartMenu,
        groupNumber: 5,
        isDisplayed: ({config, inDialog, searchModel}) =>
            !inDialog &&
            searchModel?.resModel === "key.account" &&
            config.actionType === "ir.actions.act_window" &&
            user.hasGroup("sales_team.group_sale_manager"),
    },
    {sequence: 20}
);
