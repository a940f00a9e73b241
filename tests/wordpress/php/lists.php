<?php
// A must-use plugin of the tests: MailPoet's and The Newsletter Plugin's own interfaces, as their sources have them,
// over an option. It comes in when the constant TEST_LISTS names this file.
namespace MailPoet\API\MP\v1 {
	class APIException extends \Exception {
		const SUBSCRIBER_NOT_EXISTS       = 4;
		const SUBSCRIBER_ALREADY_UNSUBSCRIBED = 24;
	}
}

namespace {
	/** MailPoet's API of version v1: github.com/mailpoet/mailpoet, doc/api_methods. */
	class Test_MailPoet {
		public function getSubscriber( $key ) {
			foreach ( get_option( 'test_mailpoet', array() ) as $subscriber ) {
				if ( $key === $subscriber['email'] || $key === $subscriber['id'] ) {
					return $subscriber;
				}
			}
			throw new \MailPoet\API\MP\v1\APIException( 'This subscriber does not exist.', 4 );
		}

		private function write( $subscriber ) {
			update_option( 'test_mailpoet', array( $subscriber['email'] => $subscriber ) + get_option( 'test_mailpoet', array() ) );
		}

		public function addSubscriber( array $data, $lists = array(), $options = array() ) {
			if ( $options['send_confirmation_email'] ) {
				wp_mail( $data['email'], 'Confirm', 'Confirm' );
			}
			$this->write( $data + array( 'id' => count( get_option( 'test_mailpoet', array() ) ) + 1, 'status' => 'subscribed', 'subscriptions' => array() ) );
			return $this->subscribeToLists( $data['email'], $lists, $options );
		}

		public function subscribeToLists( $key, $lists, $options = array() ) {
			$this->set( $key, $lists, 'subscribed' );
			$this->write( array( 'status' => 'subscribed' ) + $this->getSubscriber( $key ) );
		}

		public function unsubscribeFromLists( $key, $lists ) {
			$this->set( $key, $lists, 'unsubscribed' );
		}

		private function set( $key, $lists, $status ) {
			$subscriber = $this->getSubscriber( $key );
			foreach ( $lists as $list ) {
				$others                        = array_filter( $subscriber['subscriptions'], static fn( $each ) => $each['segment_id'] !== (string) $list );
				$subscriber['subscriptions'] = array_merge( $others, array( array( 'segment_id' => (string) $list, 'status' => $status ) ) );
			}
			$this->write( $subscriber );
		}

		public function unsubscribe( $key ) {
			$subscriber = $this->getSubscriber( $key );
			if ( 'unsubscribed' === $subscriber['status'] ) {
				throw new \MailPoet\API\MP\v1\APIException( 'This subscriber is already unsubscribed.', 24 );
			}
			$this->write( array( 'status' => 'unsubscribed' ) + $subscriber );
			do_action( 'mailpoet_subscriber_status_changed', $subscriber['id'] );
		}
	}

	class Test_MailPoet_API {
		public static function MP( $version ) {
			return new Test_MailPoet();
		}
	}
	class_alias( 'Test_MailPoet_API', 'MailPoet\API\API' );

	/** Of The Newsletter Plugin: users with a status and the columns list_1 to list_40. */
	class Newsletter {
		public static function instance() {
			return new self();
		}

		public function get_user( $key ) {
			$users = get_option( 'test_newsletter', array() );
			return isset( $users[ $key ] ) ? (object) $users[ $key ] : null;
		}

		public function save_user( $user ) {
			$users = get_option( 'test_newsletter', array() );
			foreach ( $users as $email => $stored ) {
				if ( isset( $user['id'] ) && $stored['id'] === $user['id'] ) {
					$user['email'] = $email;
				}
			}
			$users[ $user['email'] ] = $user + ( isset( $users[ $user['email'] ] ) ? $users[ $user['email'] ] : array( 'id' => count( $users ) + 1, 'list_1' => 0 ) );
			update_option( 'test_newsletter', $users );
		}
	}
}
