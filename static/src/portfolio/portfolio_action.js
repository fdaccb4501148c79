import {Component, xml} from "@odoo/owl";
import {LazyComponent} from "@web/core/assets";
import {registry} from "@web/core/registry";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";

/** The portfolio comes with its own bundle: whoever doesn't open it loads nothing. */
export class PortfolioAction extends Component {
    static template = xml`
        <LazyComponent
            bundle="'crm_key_account.assets_portfolio'"
            Component="'crm_key_account.Portfolio'"
            props="props"
        />`;
    static components = {LazyComponent};
    static props = {...standardActionServiceProps};
}

registry.category("actions").add("key_account_portfolio", PortfolioAction);
