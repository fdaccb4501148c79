import {Component} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {formatDate} from "@web/views/fields/formatters";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/** The day of the next visit, with the picture of an executive whose visit it is. */
export class NextVisitField extends Component {
    static template = "crm_key_account.NextVisitField";
    static props = {...standardFieldProps};

    get text() {
        return formatDate(this.props.record.data[this.props.name]);
    }

    get user() {
        return this.props.record.data.next_visit_user_id;
    }

    get title() {
        return _t("Executive visit of %s", this.user.display_name);
    }
}

/** How many days late a visit is, with the same picture. */
export class DaysLateField extends NextVisitField {
    get text() {
        return this.props.record.data[this.props.name] || "";
    }

    get user() {
        return this.props.record.data.overdue_user_id;
    }
}

registry.category("fields").add("key_account_next_visit", {
    component: NextVisitField,
    displayName: _t("Next Visit"),
    supportedTypes: ["date"],
    fieldDependencies: [
        {name: "next_visit_user_id", type: "many2one", relation: "res.users"},
    ],
});

registry.category("fields").add("key_account_days_late", {
    component: DaysLateField,
    displayName: _t("Days Late"),
    supportedTypes: ["integer"],
    fieldDependencies: [
        {name: "overdue_user_id", type: "many2one", relation: "res.users"},
    ],
});
