// A doubly linked list whose links live in the elements: no allocation, O(1) removal from anywhere.
// An element that is in several lists at once inherits one ListNode a list, told apart by Tag.
#pragma once

#include "core/assert.h"

namespace sluice::core {

template <typename Tag>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  [[nodiscard]] bool is_linked() const { return next_ != nullptr; }

 private:
  template <typename, typename>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

template <typename T, typename Tag>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next_ = head_.previous_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  [[nodiscard]] bool empty() const { return head_.next_ == &head_; }
  void push_back(T& element) { insert(element, *head_.previous_); }
  void push_front(T& element) { insert(element, head_); }
  [[nodiscard]] T* front() { return empty() ? nullptr : element(head_.next_); }
  [[nodiscard]] T* back() { return empty() ? nullptr : element(head_.previous_); }

  T* pop_back() {
    T* last = back();
    if (last != nullptr) remove(*last);
    return last;
  }

  T* pop_front() {
    T* first = front();
    if (first != nullptr) remove(*first);
    return first;
  }

  static void remove(T& element) {
    ListNode<Tag>& node = element;
    SLUICE_DEBUG_ASSERT(node.is_linked());
    node.previous_->next_ = node.next_;
    node.next_->previous_ = node.previous_;
    node.next_ = node.previous_ = nullptr;
  }

  // The first from the back for which `is` says so, or nullptr.
  template <typename Is>
  T* find_from_back(Is&& is) {
    for (ListNode<Tag>* node = head_.previous_; node != &head_; node = node->previous_) {
      if (is(*element(node))) return element(node);
    }
    return nullptr;
  }

  // Moves everything of `other` to the end of this list.
  void splice_back(IntrusiveList& other) {
    while (T* first = other.pop_front()) push_back(*first);
  }

 private:
  static T* element(ListNode<Tag>* node) { return static_cast<T*>(node); }
  static void insert(T& element, ListNode<Tag>& after) {
    ListNode<Tag>& node = element;
    SLUICE_DEBUG_ASSERT(!node.is_linked());
    node.previous_ = &after;
    node.next_ = after.next_;
    after.next_->previous_ = &node;
    after.next_ = &node;
  }

  ListNode<Tag> head_;
};

}  // namespace sluice::core
