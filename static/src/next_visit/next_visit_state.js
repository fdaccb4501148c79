import {Component, onWillStart, onWillUpdateProps, useState} from "@odoo/owl";
import {getLateText} from "../late_text";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";
import {useService} from "@web/core/utils/hooks";

/**
 * Beside a customer's next visit: whose it is, if it is an executive's, and how many
 * days late. Asked for when the page is opened, not with each customer.
 */
export class NextVisitState extends Component {
    static template = "crm_key_account.NextVisitState";
    static props = {...standardWidgetProps};

    setup() {
        this.orm = useService("orm");
        this.state = useState({days: 0, lateUser: false, user: false});
        onWillStart(() => this.load(this.props.record));
        onWillUpdateProps(async ({record}) => {
            if (this.getKey(record) !== this.key) {
                await this.load(record);
            }
        });
    }

    getKey({resId, data}) {
        return `${resId},${data.next_visit_date?.toISODate?.() || ""}`;
    }

    /** Whose visit is late is said where it isn't the next one's. */
    get lateText() {
        const {days, lateUser, user} = this.state;
        const text = getLateText(days);
        return lateUser && lateUser[0] !== user?.[0]
            ? `${text} (${lateUser[1]})`
            : text;
    }

    async load(record) {
        this.key = this.getKey(record);
        const [values] = record.resId
            ? await this.orm.read(
                  "res.partner",
                  [record.resId],
                  ["next_visit_user_id", "visit_days_overdue", "visit_overdue_user_id"]
              )
            : [];
        this.state.days = values?.visit_days_overdue || 0;
        this.state.lateUser = values?.visit_overdue_user_id;
        this.state.user = values?.next_visit_user_id;
    }
}

registry.category("view_widgets").add("key_account_next_visit_state", {
    component: NextVisitState,
});
