import {Component, onWillStart, useState} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";
import {useService} from "@web/core/utils/hooks";

/**
 * The user's own customers as buttons, where a visit is logged that nobody had planned:
 * a tap says which it was. All others are found in the field beside.
 */
export class CustomerChips extends Component {
    static template = "crm_key_account.CustomerChips";
    static props = {...standardWidgetProps};

    setup() {
        this.orm = useService("orm");
        this.state = useState({customers: []});
        onWillStart(async () => {
            if (this.props.record.isNew) {
                this.state.customers = await this.orm.call(
                    "key.account.visit",
                    "get_log_customers",
                    []
                );
            }
        });
    }

    choose({id, name}) {
        return this.props.record.update({partner_id: {id, display_name: name}});
    }
}

registry.category("view_widgets").add("key_account_customer_chips", {
    component: CustomerChips,
});
