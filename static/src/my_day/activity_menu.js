import {ActivityMenu} from "@mail/core/web/activity_menu";
import {patch} from "@web/core/utils/patch";
import {useService} from "@web/core/utils/hooks";

const MY_DAY = "crm_key_account.key_account_visit_menu_my_day";

/** From wherever one is in Odoo, My Day is two taps away: it is where its activities
 * are. Whoever has no such menu finds nothing here either. */
patch(ActivityMenu.prototype, {
    setup() {
        super.setup();
        this.menuService = useService("menu");
    },

    get myDayMenu() {
        return this.menuService.getAll().find(({xmlid}) => xmlid === MY_DAY);
    },

    openMyDay() {
        this.dropdown.close();
        return this.menuService.selectMenu(this.myDayMenu);
    },
});
