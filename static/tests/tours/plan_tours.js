import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("key_account_profile", {
    steps: () => [
        {
            content: "From the customer to its profile",
            trigger: ".o_form_view .nav-link[name=key_account]",
            run: "click",
        },
        {
            trigger: ".o_form_view button:contains('Account Profile')",
            run: "click",
        },
        {
            content: "The trade of the year is drawn",
            trigger:
                ":iframe .o_key_account_profile:contains('Tour Customer') svg rect",
        },
        {
            content: "Print it",
            trigger: ".o_control_panel button[title=Print]",
            run: "click",
        },
        {
            content:
                "It is downloaded, or Odoo says that wkhtmltopdf is missing and shows it",
            trigger: "body:not(:has(.o_blockUI)) :iframe .o_key_account_profile",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_plan_director", {
    steps: () => [
        {
            content: "Which plans there are",
            trigger:
                ".o_list_view .o_data_row:contains('Tour Customer') td[name=user_id]",
            run: "click",
        },
        {
            content: "What was reached",
            trigger: ".o_form_view [name=revenue]:contains('600')",
        },
        {
            content: "An objective",
            trigger:
                ".o_form_view [name=objective_ids] .o_data_row:contains('Two sites')",
        },
        {
            trigger: "button[name=action_approve]",
            run: "click",
        },
        {
            content: "Approved",
            trigger: ".o_arrow_button_current[data-value=approved]",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_pyramid_to_plan", {
    steps: () => [
        {
            content: "The pyramid as a table",
            trigger: "[data-name=pyramid]:has(canvas) .o_portfolio_toggle",
            run: "click",
        },
        {
            trigger: "[data-name=pyramid] table button:contains('Key account')",
            run: "click",
        },
        {
            content: "To one of its accounts",
            trigger:
                ".o_list_view .o_data_row:contains('Tour Customer') td[name=partner_id]",
            run: "click",
        },
        {
            content: "To its plan",
            trigger: ".o_form_view .o_button_more",
            run: "click",
        },
        {
            trigger: "button[name=action_view_key_account_plans]",
            run: "click",
        },
        {
            trigger:
                ".o_form_view [name=objective_ids] .o_data_row:contains('Two sites')",
        },
    ],
});
