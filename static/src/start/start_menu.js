import {Component} from "@odoo/owl";
import {DropdownItem} from "@web/core/dropdown/dropdown_item";
import {openFirstSteps} from "./start_panel";
import {registry} from "@web/core/registry";
import {user} from "@web/core/user";

/** Brings back the panel of the first steps that somebody has closed. */
export class StartMenu extends Component {
    static template = "crm_key_account.StartMenu";
    static components = {DropdownItem};
    static props = {};

    /** By the services themselves: the menu is gone when the answer comes, and what a
     * component asks for is dropped with it. */
    async onSelected() {
        await openFirstSteps(this.env.services);
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
