<?php
// A must-use plugin of the tests: as much of WooCommerce as an order needs, by the names of its sources
// (github.com/woocommerce/woocommerce), over an option. It comes in when TEST_SHOP names this file.

class Test_Order {
	public $data = array( 'status' => 'pending', 'meta' => array(), 'products' => array(), 'transaction_id' => '', 'billing_email' => '' );

	public function get_id() {
		return $this->data['id'];
	}
	public function get_status() {
		return $this->data['status'];
	}
	public function get_meta( $name ) {
		return isset( $this->data['meta'][ $name ] ) ? $this->data['meta'][ $name ] : '';
	}
	public function set_transaction_id( $id ) {
		$this->data['transaction_id'] = $id;
	}
	public function update_meta_data( $name, $value ) {
		$this->data['meta'][ $name ] = $value;
	}
	public function set_billing_email( $email ) {
		$this->data['billing_email'] = $email;
	}
	public function add_product( $product, $quantity, $arguments ) {
		$this->data['products'][] = array( $product, $quantity, $arguments['total'] );
	}
	public function calculate_totals() {
		$this->save();
	}
	public function update_status( $status ) {
		$this->data['status'] = $status;
		$this->save();
		do_action( 'woocommerce_order_status_' . $status, $this->get_id(), $this );
	}
	public function save() {
		update_option( 'test_orders', array( $this->data['id'] => $this->data ) + get_option( 'test_orders', array() ) );
	}
}

function wc_get_product( $id ) {
	return 42 === $id ? $id : false;
}

function wc_create_order( $arguments ) {
	$order       = new Test_Order();
	$order->data = array( 'id' => count( get_option( 'test_orders', array() ) ) + 1, 'customer_id' => $arguments['customer_id'] ) + $order->data;
	$order->save();
	return $order;
}

function wc_get_orders( $query ) {
	$found = array();
	foreach ( get_option( 'test_orders', array() ) as $data ) {
		$order       = new Test_Order();
		$order->data = $data;
		foreach ( array( 'transaction_id', 'billing_email' ) as $name ) {
			if ( isset( $query[ $name ] ) && $query[ $name ] !== $data[ $name ] ) {
				continue 2;
			}
		}
		if ( ! isset( $query['status'] ) || in_array( $data['status'], $query['status'], true ) ) {
			$found[] = $order;
		}
	}
	return $found;
}
