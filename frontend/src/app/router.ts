import { createRouter, createWebHistory } from "vue-router";
import { shiftIsOn, takesCalls } from "@/session/session";

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: "/", redirect: "/desk" },
    { path: "/shift", name: "shift", component: () => import("@/shift/ShiftPage.vue") },
    { path: "/desk", name: "desk", component: () => import("@/desk/DeskPage.vue") },
    { path: "/calls", name: "calls", component: () => import("@/interactions/HistoryPage.vue") },
    {
      path: "/calls/:id",
      name: "call",
      component: () => import("@/interactions/InteractionPage.vue"),
      props: true,
    },
    {
      path: "/customers",
      name: "customers",
      component: () => import("@/customers/CustomersPage.vue"),
    },
    {
      path: "/customers/:id",
      name: "customer",
      component: () => import("@/customers/CustomerPage.vue"),
      props: true,
    },
    {
      path: "/complaints",
      name: "complaints",
      component: () => import("@/complaints/ComplaintsPage.vue"),
    },
    {
      path: "/complaints/:id",
      name: "complaint",
      component: () => import("@/complaints/ComplaintPage.vue"),
      props: true,
    },
    { path: "/:rest(.*)*", name: "lost", component: () => import("@/app/LostPage.vue") },
  ],
});

/** The day begins at the start of shift; every other page is open at any time. */
router.beforeEach((to) => {
  const ofTheDesk = to.name === "desk" || to.name === "shift";
  if (ofTheDesk && !takesCalls.value) return { name: "calls" };
  return to.name === "desk" && !shiftIsOn() ? { name: "shift" } : true;
});
